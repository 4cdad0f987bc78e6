#include "treadle/transforms/compile.h"

#include <atomic>
#include <map>
#include <mutex>

#include "treadle/graph/graph.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/random.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

std::atomic<bool> compile_enabled{true};

// A call of a traced function: one node of the user's graph, whose plan is
// built once and kept with the op.
struct CompiledCall : Composite<CompiledCall, OpKind::region> {
  static constexpr std::string_view op_name = "compiled";
  std::string function;
  std::shared_ptr<const Graph> body;

  auto fields() const { return std::tie(function); }
  void hash_structure(Hasher& h) const override {
    h.add(op_name);
    h.add(uint64_t(reinterpret_cast<uintptr_t>(body.get())));
  }
  bool same_as(const Op& other) const override {
    const CompiledCall* o = as<CompiledCall>(other);
    return o && o->body == body;
  }
  Specs infer(std::span<const Spec>) const override {
    Specs out;
    for (const array& y : body->outputs) out.push_back(y.spec());
    return out;
  }
  Arrays expand(const Arrays& x) const override {
    return replay(body->inputs, x, body->outputs, body->first_seq);
  }
  const Graph* graph() const override { return body.get(); }
};

// Puts the captured arrays back when tracing ends, however it ends.
class Restore {
 public:
  Restore(const CapturedState& state, Arrays original)
      : state_(state), original_(std::move(original)) {}
  ~Restore() {
    if (state_.set) state_.set(original_);
  }

 private:
  const CapturedState& state_;
  Arrays original_;
};

std::string signature_of(const Arrays& inputs) {
  std::string key;
  for (const array& x : inputs) {
    key.push_back(char('A' + int(x.dtype())));
    key.push_back(char('0' + x.ndim()));
    for (int64_t d : x.shape()) {
      key.append(reinterpret_cast<const char*>(&d), sizeof d);
    }
  }
  return key;
}

}  // namespace

struct Compiled::State {
  // A finished trace: its op, and how its outputs divide.
  struct Traced {
    OpPtr op;
    size_t num_outputs = 0;  // then the output state, then the random state
    bool random = false;
    std::shared_ptr<void> note;
  };

  ArraysFn f;
  CompileOptions options;
  std::recursive_mutex mutex;  // a function may call itself while it is traced
  std::map<std::string, Traced> traces;

  Traced trace(const ArraysFn& fn, const Arrays& args, const Arrays& captured);
};

Compiled::State::Traced Compiled::State::trace(const ArraysFn& fn,
                                               const Arrays& args,
                                               const Arrays& captured) {
  Trace open("compile(" + options.name + ")");
  auto body = std::make_shared<Graph>();
  auto placeholders = [&](const Arrays& like) {
    Arrays out;
    for (const array& x : like) {
      out.push_back(open.placeholder(x.spec()));
      body->inputs.push_back(out.back());
    }
    return out;
  };
  Arrays arg_placeholders = placeholders(args);
  Arrays captured_placeholders = placeholders(captured);

  Arrays written = options.outputs.get ? options.outputs.get() : Arrays{};
  Restore restore_outputs(options.outputs, written);
  Restore restore_inputs(options.inputs, captured);
  array key = placeholders({random_state()})[0];
  RandomStateScope random(key);
  if (options.inputs.set) options.inputs.set(captured_placeholders);

  Traced t;
  body->outputs = fn(arg_placeholders);
  t.num_outputs = body->outputs.size();
  if (options.outputs.get) {
    for (array& x : options.outputs.get())
      body->outputs.push_back(std::move(x));
  }
  t.random = !same_array(random_state(), key);
  if (t.random) body->outputs.push_back(random_state());
  body->first_seq = open.first_seq();
  body->held = open.held();
  CompiledCall call;
  call.function = options.name;
  call.body = std::move(body);
  t.op = make_op(std::move(call));
  return t;
}

Compiled::Compiled(ArraysFn f, CompileOptions options)
    : state_(std::make_shared<State>()) {
  state_->f = std::move(f);
  state_->options = std::move(options);
}

Arrays Compiled::operator()(const Arrays& args,
                            const std::string& signature) const {
  return call(args, signature, state_->f);
}

Arrays Compiled::call(const Arrays& args,
                      const std::string& signature,
                      const ArraysFn& f,
                      std::shared_ptr<void>* note) const {
  if (!compile_enabled) return f(args);
  State& s = *state_;
  Arrays captured = s.options.inputs.get ? s.options.inputs.get() : Arrays{};
  Arrays in = args;
  in.insert(in.end(), captured.begin(), captured.end());
  std::string key = signature + '\n' + signature_of(in);
  State::Traced traced;
  {
    std::lock_guard lock(s.mutex);
    auto it = s.traces.find(key);
    if (it == s.traces.end()) {
      it = s.traces.emplace(key, s.trace(f, args, captured)).first;
      if (note) it->second.note = *note;
    }
    if (note) *note = it->second.note;
    traced = it->second;
  }
  Stream stream = resolve({});
  Arrays out;
  auto run = [&](const array& random_key) {
    in.push_back(random_key);
    if (Trace::any_open()) {
      StreamScope scope(stream);
      out = traced.op->expand(in);
    } else {
      captured.clear();
      out = record_all(traced.op, std::move(in), stream);
    }
  };
  if (traced.random) {
    update_random_state([&](const array& random_key) {
      run(random_key);
      array next = out.back();
      out.pop_back();
      return next;
    });
  } else {
    run(random_state());
  }
  if (s.options.outputs.set) {
    s.options.outputs.set(
        Arrays(out.begin() + long(traced.num_outputs), out.end()));
  }
  out.resize(traced.num_outputs);
  return out;
}

ArraysFn compile(ArraysFn f, CompileOptions options) {
  return [compiled = Compiled(std::move(f), std::move(options))](
             const Arrays& args) { return compiled(args); };
}

void disable_compile() { compile_enabled = false; }
void enable_compile() { compile_enabled = true; }
bool is_compile_enabled() { return compile_enabled; }

}  // namespace treadle
