#include "tests/cuda_check/tapes.h"

#include <algorithm>

namespace treadle::cuda_check {

using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;
using Value = TapeBuilder::Value;

namespace {

int arity(const TapeValue& v) {
  if (v.code == Code::load) return 0;
  return v.code == Code::row ? info(v.row).arity : 1;
}

}  // namespace

Value TapeBuilder::add(TapeValue v) {
  const uint16_t args[] = {v.a, v.b, v.c};
  for (int i = 0; i < arity(v); ++i) {
    const TapeValue& from = tape.values[args[i]];
    const bool reduced = from.code == Code::reduce_row;
    v.phase = std::max<uint16_t>(v.phase, uint16_t(from.phase + reduced));
  }
  tape.values.push_back(v);
  return Value(tape.values.size() - 1);
}

Value TapeBuilder::load(Dtype t, bool uniform) {
  TapeValue v{.code = Code::load, .lane = plan::lane_of(t), .uniform = uniform};
  v.dtype = t;
  v.index = uint16_t(tape.operands.size());
  tape.operands.push_back(t);
  return add(v);
}

Value TapeBuilder::row(Row r, Value a, Value b, Value c) {
  const RowInfo& r_info = info(r);
  TapeValue v{.code = Code::row, .lane = tape.values[a].lane, .row = r};
  v.a = a;
  v.b = r_info.arity > 1 ? b : Value{0};
  v.c = r_info.arity > 2 ? c : Value{0};
  v.uniform = tape.values[a].uniform;
  if (r_info.arity > 1) v.uniform &= tape.values[b].uniform;
  if (r_info.arity > 2) v.uniform &= tape.values[c].uniform;
  if (r_info.rule == Rule::compare) v.lane = Lane::u32;
  if (r_info.rule == Rule::choose) v.lane = tape.values[b].lane;
  if (r_info.rule == Rule::magnitude && v.lane == Lane::c64) v.lane = Lane::f32;
  return add(v);
}

Value TapeBuilder::convert(Value a, Dtype t) {
  TapeValue v{.code = Code::convert, .lane = plan::lane_of(t)};
  v.uniform = tape.values[a].uniform;
  v.dtype = t;
  v.a = a;
  return add(v);
}

Value TapeBuilder::reduce_row(ReduceKind kind, Value a) {
  TapeValue v{
      .code = Code::reduce_row, .lane = tape.values[a].lane, .uniform = true};
  v.reduce = kind;
  v.a = a;
  return add(v);
}

void TapeBuilder::store(Value a, Dtype t, OutputForm form) {
  TapeValue v{.code = Code::store, .lane = tape.values[a].lane};
  v.uniform = form == OutputForm::row;
  v.dtype = t;
  v.a = a;
  v.index = uint16_t(tape.outputs.size());
  tape.outputs.push_back({t, form});
  add(v);
}

void TapeBuilder::reduce_column(ReduceKind kind, Value a, Dtype t) {
  TapeValue v{.code = Code::reduce_column, .lane = tape.values[a].lane};
  v.reduce = kind;
  v.dtype = t;
  v.a = a;
  v.index = uint16_t(tape.outputs.size());
  tape.outputs.push_back({t, OutputForm::column});
  add(v);
}

Tape chain(Dtype t) {
  TapeBuilder b;
  const Value x = b.load(t);
  Value y = b.row(Row::multiply, b.row(Row::sigmoid, x), x);
  y = b.row(Row::tanh, b.row(Row::add, y, x));
  y = b.row(Row::multiply,
            y,
            b.row(Row::exp, b.row(Row::negative, b.row(Row::abs, x))));
  y = b.row(Row::subtract, b.row(Row::square, y), x);
  y = b.row(Row::maximum, y, b.row(Row::minimum, x, y));
  b.store(y, t);
  return b.tape;
}

Tape scale_shift_relu(Dtype t) {
  TapeBuilder b;
  const Value x = b.load(t), w = b.load(t), shift = b.load(t);
  const Value y = b.row(Row::add, b.row(Row::multiply, x, w), shift);
  b.store(b.row(Row::maximum, y, b.row(Row::subtract, y, y)), t);
  return b.tape;
}

Tape masked(Dtype t) {
  TapeBuilder b;
  const Value mask = b.load(bool_), x = b.load(t), y = b.load(t);
  b.store(b.row(Row::select, mask, x, y), t);
  b.store(b.row(Row::logical_not, mask), bool_);
  return b.tape;
}

Tape adamw() {
  TapeBuilder b;
  const Value p = b.load(float32), g = b.load(float32);
  const Value m = b.load(float32), v = b.load(float32);
  const Value b1 = b.load(float32), b2 = b.load(float32);
  const Value rate = b.load(float32), epsilon = b.load(float32);
  const Value decay = b.load(float32);  // 1 - rate * weight decay
  // beta * old + (1 - beta) * new, as old + (new - old) * (1 - beta)
  auto average = [&](Value old, Value now, Value beta) {
    const Value step = b.row(Row::subtract, now, old);
    return b.row(Row::subtract, now, b.row(Row::multiply, step, beta));
  };
  const Value m1 = average(m, g, b1);
  const Value v1 = average(v, b.row(Row::square, g), b2);
  const Value scale = b.row(Row::add, b.row(Row::sqrt, v1), epsilon);
  const Value step = b.row(Row::divide, b.row(Row::multiply, rate, m1), scale);
  b.store(b.row(Row::subtract, b.row(Row::multiply, p, decay), step), float32);
  b.store(m1, float32);
  b.store(v1, float32);
  return b.tape;
}

Tape softmax(Dtype t) {
  TapeBuilder b(1);
  const Value x = b.load(t);
  const Value most = b.reduce_row(ReduceKind::max, x);
  const Value e = b.row(Row::exp, b.row(Row::subtract, x, most));
  const Value sum = b.reduce_row(ReduceKind::sum, e);
  b.store(b.row(Row::divide, e, sum), t);
  return b.tape;
}

Tape layer_norm(Dtype t) {
  TapeBuilder b(1);
  const Value x = b.load(t), gamma = b.load(t), beta = b.load(t);
  const Value length = b.load(float32, true), epsilon = b.load(float32, true);
  const Value mean =
      b.row(Row::divide, b.reduce_row(ReduceKind::sum, x), length);
  const Value d = b.row(Row::subtract, x, mean);
  const Value squares = b.reduce_row(ReduceKind::sum, b.row(Row::square, d));
  const Value variance = b.row(Row::divide, squares, length);
  const Value inverse = b.row(Row::rsqrt, b.row(Row::add, variance, epsilon));
  const Value y = b.row(Row::multiply, b.row(Row::multiply, d, inverse), gamma);
  b.store(b.row(Row::add, y, beta), t);
  b.store(mean, float32, OutputForm::row);
  b.store(inverse, float32, OutputForm::row);
  return b.tape;
}

Tape layer_norm_backward() {
  TapeBuilder b(1);
  const Value x = b.load(float32), ct = b.load(float32),
              gamma = b.load(float32);
  const Value mean = b.load(float32, true), inverse = b.load(float32, true);
  const Value length = b.load(float32, true);
  const Value n = b.row(Row::multiply, b.row(Row::subtract, x, mean), inverse);
  const Value g = b.row(Row::multiply, ct, gamma);
  const Value gn = b.row(Row::multiply, g, n);
  const Value g_mean =
      b.row(Row::divide, b.reduce_row(ReduceKind::sum, g), length);
  const Value gn_mean =
      b.row(Row::divide, b.reduce_row(ReduceKind::sum, gn), length);
  const Value centred = b.row(Row::subtract, g, g_mean);
  const Value dx =
      b.row(Row::subtract, centred, b.row(Row::multiply, n, gn_mean));
  b.store(b.row(Row::multiply, dx, inverse), float32);
  b.reduce_column(ReduceKind::sum, b.row(Row::multiply, ct, n), float32);
  b.reduce_column(ReduceKind::sum, ct, float32);
  return b.tape;
}

Tape column_sum(Dtype t) {
  TapeBuilder b(1);
  b.reduce_column(ReduceKind::sum, b.load(t), t);
  return b.tape;
}

Tape column_extremes() {
  TapeBuilder b(1);
  const Value x = b.load(float32);
  const Value y = b.row(Row::square, x);
  b.reduce_column(ReduceKind::sum, y, float32);
  b.reduce_column(ReduceKind::max, x, float32);
  b.reduce_column(ReduceKind::min, x, float32);
  b.store(y, float32);
  return b.tape;
}

Tape row_extremes(Dtype t) {
  TapeBuilder b(1);
  const Value x = b.load(t);
  b.store(b.reduce_row(ReduceKind::prod, x), t, OutputForm::row);
  b.store(b.reduce_row(ReduceKind::max, x), t, OutputForm::row);
  b.store(b.reduce_row(ReduceKind::min, x), t, OutputForm::row);
  return b.tape;
}

Tape conversions(Dtype from) {
  TapeBuilder b;
  const Value x = b.load(from);
  for (int t = 0; t < kNumDtypes; ++t)
    b.store(b.convert(x, Dtype(t)), Dtype(t));
  return b.tape;
}

Dtype dtype_of_lane(Lane lane) {
  constexpr Dtype types[] = {
      float32, float64, int32, int64, uint32, uint64, complex64};
  return types[int(lane)];
}

bool takes(Rule rule, Lane lane) {
  const Dtype t = dtype_of_lane(lane);
  switch (rule) {
    case Rule::real:
      return !is_complex(t);
    case Rule::float_like:
      return is_inexact(t);
    case Rule::real_float:
      return is_floating(t);
    case Rule::logical:
      return false;  // on bool: separately
    case Rule::integer:
      return is_integer(t);
    default:
      return true;
  }
}

Tape all_rows(Lane lane, std::vector<Row>* rows) {
  const Dtype t = dtype_of_lane(lane);
  TapeBuilder b;
  const Value x = b.load(t), y = b.load(t), c = b.load(bool_);
  for (int i = 0; i < kNumRows; ++i) {
    const Row r = Row(i);
    Value v;
    if (info(r).rule == Rule::choose) {
      v = b.row(r, c, x, y);
    } else if (info(r).rule == Rule::logical && lane == Lane::u32) {
      v = b.row(r, c, b.convert(x, bool_));
    } else if (takes(info(r).rule, lane)) {
      v = b.row(r, x, y);
    } else {
      continue;
    }
    const bool boolean =
        info(r).rule == Rule::compare || info(r).rule == Rule::logical;
    b.store(v, boolean ? bool_ : dtype_of_lane(b.tape.values[v].lane));
    if (rows) rows->push_back(r);
  }
  return b.tape;
}

std::vector<NamedTape> all_tapes() {
  std::vector<NamedTape> list = {
      {"chain_float32", chain(float32)},
      {"chain_bfloat16", chain(bfloat16)},
      {"chain_float64", chain(float64)},
      {"scale_shift_relu_float16", scale_shift_relu(float16)},
      {"scale_shift_relu_int8", scale_shift_relu(int8)},
      {"masked_float32", masked(float32)},
      {"adamw", adamw()},
      {"softmax_float32", softmax(float32)},
      {"softmax_float16", softmax(float16)},
      {"layer_norm_float32", layer_norm(float32)},
      {"layer_norm_bfloat16", layer_norm(bfloat16)},
      {"layer_norm_backward", layer_norm_backward()},
      {"column_sum_float32", column_sum(float32)},
      {"column_sum_int64", column_sum(int64)},
      {"column_extremes", column_extremes()},
      {"row_extremes_int32", row_extremes(int32)},
      {"row_extremes_complex64", row_extremes(complex64)},
      {"conversions_from_float32", conversions(float32)},
      {"conversions_from_int64", conversions(int64)},
      {"conversions_from_complex64", conversions(complex64)},
  };
  for (int lane = 0; lane < plan::kNumLanes; ++lane) {
    list.push_back(
        {"all_rows_" + std::string(name_of(dtype_of_lane(Lane(lane)))),
         all_rows(Lane(lane))});
  }
  return list;
}

}  // namespace treadle::cuda_check
