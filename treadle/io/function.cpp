// File: "TREADLEF", version (uint32), zero (uint32), length of the description
// (uint64), its hash (two uint64), the description, padding, the bytes of the
// constants, each from a multiple of 64 on. All is little-endian.
//
// Description: metadata, the constants (dtype, shape, offset), then for each
// trace the number of positional arguments, the names of the others, whether
// lengths are free, the graph and, if so, the formulas for its lengths.
#include "treadle/io/function.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/base/hash.h"
#include "treadle/graph/trace.h"
#include "treadle/io/function_graph.h"
#include "treadle/io/function_lengths.h"
#include "treadle/io/function_ops.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/compile.h"

namespace treadle {

namespace {

constexpr std::string_view kSave = "export_function";
constexpr std::string_view kLoad = "import_function";
constexpr std::string_view kMagic = "TREADLEF";
// Version 1 has no calls with rules of their own.
constexpr uint32_t kVersion = 2, kOldest = 1;
constexpr uint64_t kAlignment = 64;

struct Function {
  uint64_t num_args = 0;
  std::vector<std::string> names;  // of the arguments behind them, in order
  SavedGraph graph;
  std::optional<Lengths> lengths;
};

Specs specs_of(const Arrays& args, const NamedArrays& kwargs) {
  Specs out;
  for (const array& x : args) out.push_back(x.spec());
  for (const auto& [name, x] : kwargs) out.push_back(x.spec());
  return out;
}

std::vector<std::string> names_of(const NamedArrays& kwargs) {
  std::vector<std::string> out;
  for (const auto& entry : kwargs) out.push_back(entry.first);
  return out;
}

bool takes(const Function& f,
           size_t num_args,
           const std::vector<std::string>& names,
           const Specs& specs) {
  if (f.num_args != num_args || f.names != names) return false;
  return f.lengths ? takes(f.graph, *f.lengths, specs)
                   : specs == f.graph.inputs;
}

SavedGraph trace(const NamedFn& f,
                 const Specs& specs,
                 size_t num_args,
                 const std::vector<std::string>& names,
                 bool calls) {
  Trace open("export_function");
  Arrays inputs, args;
  NamedArrays kwargs;
  for (const Spec& s : specs) inputs.push_back(open.placeholder(s));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i < num_args) {
      args.push_back(inputs[i]);
    } else {
      kwargs[names[i - num_args]] = inputs[i];
    }
  }
  const RandomStateScope random(random_state());
  return save_graph(inputs, f(args, kwargs), open.first_seq(), calls);
}

std::string text_of(const Specs& specs,
                    size_t num_args,
                    const std::vector<std::string>& names) {
  std::string s = "(";
  for (size_t i = 0; i < specs.size(); ++i) {
    s += i > 0 ? ", " : "";
    if (i >= num_args) s += names[i - num_args] + "=";
    s += to_string(specs[i]);
  }
  return s + ")";
}

NamedFn unnamed(ArraysFn f) {
  return [f = std::move(f)](const Arrays& args, const NamedArrays& kwargs) {
    if (!kwargs.empty()) {
      invalid(kSave, "the function takes no arguments by name.");
    }
    return f(args);
  };
}

uint64_t aligned(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

// --- Exporting ---------------------------------------------------------------

struct FunctionExporter::State {
  std::string path;
  NamedFn f;
  ExportOptions options;
  std::vector<Function> functions;
  bool closed = false;
};

FunctionExporter::FunctionExporter(std::string path,
                                   NamedFn f,
                                   ExportOptions options)
    : state_(std::make_unique<State>()) {
  if (!is_utf8(options.metadata)) invalid(kSave, "the metadata is not UTF-8.");
  state_->path = std::move(path);
  state_->f = std::move(f);
  state_->options = std::move(options);
}
FunctionExporter::FunctionExporter(std::string path,
                                   ArraysFn f,
                                   ExportOptions options)
    : FunctionExporter(
          std::move(path), unnamed(std::move(f)), std::move(options)) {}
FunctionExporter::FunctionExporter(FunctionExporter&&) noexcept = default;
FunctionExporter& FunctionExporter::operator=(FunctionExporter&&) noexcept =
    default;
FunctionExporter::~FunctionExporter() {
  if (!state_ || state_->functions.empty()) return;
  try {
    close();
  } catch (const std::exception&) {
    // close() says what is wrong to those who ask.
  }
}

void FunctionExporter::operator()(const Arrays& args,
                                  const NamedArrays& kwargs) {
  State& s = *state_;
  if (s.closed) invalid(kSave, "the exporter is closed.");
  const Specs specs = specs_of(args, kwargs);
  Function fn;
  fn.num_args = args.size();
  fn.names = names_of(kwargs);
  for (const Function& f : s.functions) {
    if (takes(f, fn.num_args, fn.names, specs)) {
      invalid(kSave,
              "a former trace takes arguments " +
                  text_of(specs, fn.num_args, fn.names) + ".");
    }
  }
  auto again = [&](const Specs& in) {
    std::optional<PlainNumbers> plain;
    if (s.options.shapeless) plain.emplace();
    return trace(s.f, in, fn.num_args, fn.names, !s.options.shapeless);
  };
  fn.graph = again(specs);
  if (s.options.shapeless) fn.lengths = find_lengths(fn.graph, again);
  s.functions.push_back(std::move(fn));
}

void FunctionExporter::close() {
  State& s = *state_;
  if (std::exchange(s.closed, true)) return;
  ConstantPool pool;
  FileWriter functions;
  functions.number(uint64_t(s.functions.size()));
  for (const Function& f : s.functions) {
    functions.number(f.num_args);
    functions.number(uint64_t(f.names.size()));
    for (const std::string& n : f.names) functions.text(n);
    write_graph(functions, f.graph, pool);
    functions.number(uint64_t(f.lengths.has_value()));
    if (f.lengths) write_lengths(functions, *f.lengths);
  }
  Arrays constants;
  FileWriter description;
  description.text(s.options.metadata);
  description.number(uint64_t(pool.arrays().size()));
  uint64_t offset = 0;
  for (const array& x : pool.arrays()) {
    write_spec(description, x.spec());
    description.number(offset);
    offset += aligned(x.nbytes());
    constants.push_back(contiguous(x));
  }
  treadle::eval(constants);

  const std::string text = description.bytes() + functions.bytes();
  Hasher hash;
  hash.add(text);
  FileWriter head;
  head.number(kVersion);
  head.number(uint32_t(0));
  head.number(uint64_t(text.size()));
  head.number(hash.result().lo);
  head.number(hash.result().hi);
  NewFile file(s.path, kSave);
  const std::string zeros(kAlignment, '\0');
  auto padded = [&](uint64_t written) {
    file.write(std::string_view(zeros).substr(0, aligned(written) - written));
  };
  file.write(kMagic);
  file.write(head.bytes());
  file.write(text);
  padded(kMagic.size() + head.bytes().size() + text.size());
  for (const array& x : constants) {
    file.write(x);
    padded(x.nbytes());
  }
  file.finish();
}

void export_function(const std::string& path,
                     ArraysFn f,
                     const Arrays& args,
                     ExportOptions options) {
  FunctionExporter e(path, std::move(f), std::move(options));
  e(args);
  e.close();
}

void export_function(const std::string& path,
                     NamedFn f,
                     const Arrays& args,
                     const NamedArrays& kwargs,
                     ExportOptions options) {
  FunctionExporter e(path, std::move(f), std::move(options));
  e(args, kwargs);
  e.close();
}

// --- Importing ---------------------------------------------------------------

struct ImportedFunction::State {
  std::string metadata;
  std::vector<Function> functions;
  std::vector<Compiled> compiled;
};

namespace {

Arrays run(const Function& f, const Arrays& in) {
  if (!f.lengths) return replay(f.graph, in);
  const Replacements r = lengths_for(f.graph, *f.lengths, specs_of(in, {}));
  return replay(f.graph, in, &r);
}

// Records a function once, as it will be called, so that what does not fit is
// an error of the file.
void check(const FileReader& r, const Function& f) {
  try {
    Trace open("import_function");
    Arrays in;
    for (const Spec& s : f.graph.inputs) in.push_back(open.placeholder(s));
    run(f, in);
  } catch (const std::exception& e) {
    r.bad(
        fmt::format("holds a function that cannot be recorded: {}", e.what()));
  }
}

}  // namespace

ImportedFunction import_function(const std::string& path) {
  const Mapping file(path, kLoad);
  FileReader head(file.text(), path, kLoad);
  if (!file.text().starts_with(kMagic)) {
    head.bad("is not a file of a function that Treadle has exported.");
  }
  head.take(kMagic.size());
  const auto version = head.number<uint32_t>();
  if (version < kOldest || version > kVersion) {
    head.bad(
        fmt::format("is of version {}; this library reads versions {} to {}.",
                    version,
                    kOldest,
                    kVersion));
  }
  head.take(sizeof(uint32_t));
  const auto length = head.number<uint64_t>();
  Hash128 said;
  said.lo = head.number<uint64_t>();
  said.hi = head.number<uint64_t>();
  const std::string_view text(head.take(length), size_t(length));
  Hasher hash;
  hash.add(text);
  if (hash.result() != said) head.bad("is damaged.");
  const uint64_t start = std::min<uint64_t>(aligned(head.at()), file.bytes());

  FileReader r(text, path, kLoad);
  auto state = std::make_shared<ImportedFunction::State>();
  state->metadata = r.text();
  Arrays pool;
  for (uint64_t n = r.count(r.number<uint64_t>(), 24); n > 0; --n) {
    const Spec spec = read_spec(r);
    const auto offset = r.number<uint64_t>();
    const uint64_t bytes = *bytes_in_file(spec);
    if (offset > file.bytes() - start ||
        bytes > file.bytes() - start - offset) {
      r.bad("has a constant beyond its end.");
    }
    pool.push_back(file.at(bytes == 0 ? 0 : start + offset, spec));
  }
  for (uint64_t n = r.count(r.number<uint64_t>(), 24); n > 0; --n) {
    Function f;
    f.num_args = r.number<uint64_t>();
    for (uint64_t k = r.count(r.number<uint64_t>(), 8); k > 0; --k) {
      f.names.push_back(r.text());
    }
    f.graph = read_graph(r, pool);
    if (r.number<uint64_t>() != 0) {
      for (const SavedNode& n : f.graph.nodes) {
        if (n.call) r.bad("has a function of free lengths with fixed rules.");
      }
      f.lengths = read_lengths(r, f.graph);
    }
    if (f.num_args > f.graph.inputs.size() ||
        f.names.size() != f.graph.inputs.size() - f.num_args ||
        !std::is_sorted(f.names.begin(), f.names.end())) {
      r.bad("has a function whose arguments do not fit.");
    }
    check(r, f);
    state->functions.push_back(std::move(f));
  }
  for (const Function& f : state->functions) {
    CompileOptions options;
    options.name = "imported";
    state->compiled.emplace_back([&f](const Arrays& in) { return run(f, in); },
                                 options);
  }
  ImportedFunction out;
  out.state_ = std::move(state);
  return out;
}

Arrays ImportedFunction::operator()(const Arrays& args,
                                    const NamedArrays& kwargs) const {
  const Specs specs = specs_of(args, kwargs);
  const std::vector<std::string> names = names_of(kwargs);
  for (size_t i = 0; i < state_->functions.size(); ++i) {
    if (!takes(state_->functions[i], args.size(), names, specs)) continue;
    Arrays in = args;
    for (const auto& [name, x] : kwargs) in.push_back(x);
    return state_->compiled[i](in);
  }
  std::string known;
  for (const Function& f : state_->functions) {
    known += "\n  " + text_of(f.graph.inputs, f.num_args, f.names);
    if (f.lengths) known += ", with other lengths";
  }
  invalid(kLoad,
          "no trace takes the arguments " + text_of(specs, args.size(), names) +
              "; expected" +
              (known.empty() ? " nothing: there is no trace." : ":" + known));
}

const std::string& ImportedFunction::metadata() const {
  return state_->metadata;
}

// --- Listing -----------------------------------------------------------------

ExportListing list_function(const NamedFn& f,
                            const Arrays& args,
                            const NamedArrays& kwargs) {
  const std::vector<std::string> names = names_of(kwargs);
  const SavedGraph g =
      trace(f, specs_of(args, kwargs), args.size(), names, false);
  ExportListing l;
  std::vector<ExportListing::Value> values;
  auto add = [&](const Spec& spec) {
    std::string name;
    for (size_t i = values.size() + 1; i > 0; i = (i - 1) / 26) {
      name.insert(name.begin(), char('A' + (i - 1) % 26));
    }
    values.push_back({name, spec});
  };
  for (const Spec& s : g.inputs) add(s);
  l.inputs = values;
  for (size_t i = 0; i < names.size(); ++i) {
    l.keywords.emplace_back(names[i], values[args.size() + i].name);
  }
  for (const Arrays* leaves : {&g.constants, &g.numbers}) {
    for (const array& x : *leaves) {
      add(x.spec());
      l.constants.emplace_back(values.back().name, x);
    }
  }
  // Outputs of operations have the specs that recording them again gives.
  Trace open("export_function");
  Arrays now;
  for (const Spec& s : g.inputs) now.push_back(open.placeholder(s));
  SavedGraph all = g;
  all.outputs.clear();
  uint32_t next = uint32_t(g.first_node_value());
  for (const SavedNode& n : g.nodes) {
    // The second output of attention is not kept.
    const uint32_t kept =
        n.op && n.op->name() == "scaled_dot_product_attention" ? 1 : n.outputs;
    for (uint32_t i = 0; i < kept; ++i) all.outputs.push_back(next + i);
    next += n.outputs;
  }
  const Arrays outputs = replay(all, now);
  size_t at = 0;
  for (const SavedNode& n : g.nodes) {
    ExportListing::Operation o;
    o.name = n.op ? std::string(n.op->name()) : "scan";
    if (n.op) o.arguments = field_texts(*n.op);
    for (uint32_t v : n.in) o.inputs.push_back(values[v]);
    for (uint32_t i = 0; i < n.outputs; ++i) {
      const bool kept = at < outputs.size() && all.outputs[at] == values.size();
      add(kept ? outputs[at++].spec() : Spec());
      if (kept) o.outputs.push_back(values.back());
    }
    l.operations.push_back(std::move(o));
  }
  for (uint32_t v : g.outputs) l.outputs.push_back(values[v]);
  return l;
}

}  // namespace treadle
