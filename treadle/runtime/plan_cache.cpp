#include "treadle/runtime/plan_cache.h"

#include <cstdio>
#include <list>
#include <unordered_map>

#include "treadle/base/environment.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/deterministic.h"

namespace treadle::runtime {

namespace {

constexpr size_t kMaxPlans = 512;
constexpr size_t kMaxInstances = 8;  // of one plan

struct Entry {
  Hash128 key;
  std::shared_ptr<const plan::Plan> plan;
  std::list<std::pair<Hash128, std::shared_ptr<Instance>>> instances;
};

struct Cache {
  std::list<Entry> entries;  // most recent first
  std::unordered_map<Hash128, std::list<Entry>::iterator, HashOf128> index;
  PlanCounts counts;
};

Cache& cache() {
  static auto* c = new Cache;
  return *c;
}

bool verbose() {
  static const bool on =
      environment("TREADLE_VERBOSE").value_or("").find("plan") !=
      std::string::npos;
  return on;
}

Entry& entry_for(const plan::Program& program, Device::Type device) {
  Cache& c = cache();
  Hash128 key = plan::structure_key(program);
  key.lo += uint64_t(device);
  auto found = c.index.find(key);
  if (found != c.index.end()) {
    c.entries.splice(c.entries.begin(), c.entries, found->second);
    return c.entries.front();
  }
  auto plan = plan::build(program);
#ifndef NDEBUG
  plan::verify(*plan, program);
#endif
  if (verbose()) {
    std::fprintf(stderr, "plan\n%s", plan::to_string(*plan, program).c_str());
  }
  ++c.counts.plans;
  c.entries.push_front({key, std::move(plan), {}});
  c.index[key] = c.entries.begin();
  if (c.entries.size() > kMaxPlans) {
    c.index.erase(c.entries.back().key);
    c.entries.pop_back();
  }
  return c.entries.front();
}

}  // namespace

std::shared_ptr<Instance> instance_for(const plan::Program& program,
                                       Device::Type device) {
  Entry& e = entry_for(program, device);
  Hash128 sizes = plan::size_key(program);
  // Scratch is sized for the threads; kernels are chosen by the other.
  sizes.hi += uint64_t(backend(device).threads()) * 2 + deterministic();
  for (auto it = e.instances.begin(); it != e.instances.end(); ++it) {
    if (it->first == sizes) {
      e.instances.splice(e.instances.begin(), e.instances, it);
      return it->second;
    }
  }
  ++cache().counts.instances;
  e.instances.emplace_front(sizes, instantiate(e.plan, program, device));
  if (e.instances.size() > kMaxInstances) e.instances.pop_back();
  return e.instances.front().second;
}

PlanCounts plan_counts() { return cache().counts; }

}  // namespace treadle::runtime
