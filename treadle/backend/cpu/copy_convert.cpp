// The copy that converts: a tape of one load, one conversion and one store.
#include <mutex>

#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/ref/move.h"
#include "treadle/backend/cpu/tape.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

namespace {

using plan::TapeValue;

OpPtr make(Dtype from, Dtype to) {
  plan::Tape tape;
  tape.operands = {from};
  tape.outputs = {{to, plan::OutputForm::full}};
  TapeValue load{};
  load.code = TapeValue::Code::load;
  load.lane = plan::lane_of(from);
  load.dtype = from;
  TapeValue convert{};
  convert.code = TapeValue::Code::convert;
  convert.lane = plan::lane_of(to);
  convert.dtype = to;
  TapeValue store{};
  store.code = TapeValue::Code::store;
  store.lane = convert.lane;
  store.dtype = to;
  store.a = 1;
  tape.values = {load, convert, store};
  return plan::make_fused(std::move(tape));
}

const Op& converter(Dtype from, Dtype to) {
  static std::mutex mutex;
  static auto* made = new OpPtr[kNumDtypes][kNumDtypes];
  std::lock_guard lock(mutex);
  OpPtr& op = made[static_cast<int>(from)][static_cast<int>(to)];
  if (!op) op = make(from, to);
  return *op;
}

}  // namespace

void convert_copy(const runtime::Operand& from,
                  const runtime::Operand& to,
                  int threads) {
  if (!is_row_contiguous(to.shape, to.strides)) return ref_copy(from, to);
  static const runtime::Kernel kernel = tape_kernel();
  kernel.run({converter(from.dtype, to.dtype),
              {&from, 1},
              {&to, 1},
              to.shape,
              nullptr,
              threads});
}

}  // namespace treadle::backend::cpu
