// The printer behind tape_source(): one member function for each piece of a
// kernel. map is in tape_source.cpp, rows and columns in files of their own.
//
// Names in the printed source: vN is value N of the tape, xN what a load
// brought, kN a value kept for a later phase, rN and cN what a reduction has so
// far, sN its slots in shared memory, wN its place in the workspace, yN a
// store's elements before they leave.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "treadle/backend/cuda/tape_analysis.h"

namespace treadle::backend::cuda {

class Printer {
 public:
  Printer(const plan::Tape& tape, const LayoutClass& layout)
      : tape_(tape), layout_(layout), facts_(analyse(tape, layout)) {}

  std::string print();

 private:
  using Code = plan::TapeValue::Code;
  using Args = std::initializer_list<std::string>;
  using Ids = std::vector<size_t>;

  // --- text: tape_printer.cpp -----------------------------------------------

  // `text` with each $ replaced by the next argument.
  static std::string fill(std::string_view text, Args args);
  // One line of source; its braces set the indentation of the next.
  void line(std::string_view text, Args args = {});
  // A loop that the compiler unrolls.
  void unrolled(std::string_view text, Args args = {});

  // --- facts: tape_printer.cpp ----------------------------------------------

  const plan::TapeValue& value(size_t i) const { return tape_.values[i]; }
  size_t count() const { return tape_.values.size(); }
  std::string width() const { return std::to_string(facts_.geometry.width); }
  std::string lane(size_t i) const;
  std::string operand_type(size_t load) const;
  std::string output_type(size_t sink) const;
  Access access(size_t load) const;
  // A load that differs along the row.
  bool moves(size_t i) const;
  bool any_strided() const { return layout_.name() == "strided"; }
  // A store of one number per row.
  bool is_row_store(size_t i) const;
  // All values of a kind, and those that are the sinks of a phase.
  Ids all(Code code) const;
  Ids sinks(int phase, Code code) const;
  // The moving loads among the needed values; of one phase, if it is not -1.
  Ids moving(const std::vector<bool>& need, int home = -1) const;
  // The values that the sinks of a phase need, of those that differ along the
  // row. With `registers`, what an earlier phase has kept needs no inputs.
  std::vector<bool> needed(int phase, bool registers) const;
  // "reduce::sum<f32>"
  std::string reducer(size_t i) const;
  // What the value of a row or convert is.
  std::string expression(size_t i) const;
  // The address of the first element of the row in an operand.
  std::string row_start(size_t load) const;
  // Where blocks leave what they have of column reduction i: (blocks, length).
  std::string workspace_of(size_t i) const;

  // --- statements: tape_printer.cpp -----------------------------------------

  void entry(std::string_view name, int threads);
  void define(size_t i, const std::string& what);
  void outer_offsets();
  // What is one number per row: loads, then what is known in a phase.
  void row_loads();
  void row_values(int phase);
  // Brings elements j, j + 1, ... of the loads into x; `slot` tells the chunk:
  // "[k]". `left` limits their number.
  void load_chunk(const Ids& loads,
                  const std::string& slot,
                  const std::string& left = "");
  // The values of element e of a chunk.
  void element(const std::vector<bool>& need,
               int phase,
               bool registers,
               const std::string& slot);
  void combine(size_t reduction, const std::string& total);
  void declare_pack(size_t store);
  void to_pack(size_t store);
  void store_pack(size_t store,
                  const std::string& at,
                  const std::string& left = "");

  // --- kernels --------------------------------------------------------------

  void preamble();  // tape_source.cpp
  void map();

  void rows();  // tape_rows.cpp
  void rows_entry(std::string_view name,
                  int threads,
                  int chunks,
                  std::string_view grouped);
  void column_sums_of_rows();
  void row_phase(int phase);
  void phase_in_registers(int phase);
  void phase_read_again(int phase);
  void chunk(const std::vector<bool>& need,
             int phase,
             bool registers,
             const std::string& slot);

  void columns();  // tape_columns.cpp
  void combine_block(size_t reduction);
  void finish();

  const plan::Tape& tape_;
  const LayoutClass& layout_;
  const Analysis facts_;
  std::string out_;
  int indent_ = 0;
};

// "v3"
inline std::string name(char letter, size_t i) {
  return letter + std::to_string(i);
}
inline std::string str(int64_t i) { return std::to_string(i); }

}  // namespace treadle::backend::cuda
