// The operations that a file of a function holds: how their fields are written
// and read, and how they are recorded again. An op read from a file is recorded
// through functions that check shapes, dtypes and fields, so that no file can
// make a kernel read outside of its arrays.
#pragma once

#include <vector>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/io/file.h"

namespace treadle {

// False for ops that are expanded before they are written, or cannot be.
bool can_save(const Op& op);

void write_op(FileWriter& w, const Op& op);
OpPtr read_op(FileReader& r);

// The outputs of the op on other inputs. Throws when it does not take them.
Arrays record_again(const Op& op, const Arrays& in);

// The lengths and positions among its fields, as numbers, and the op with
// others: what changes when the lengths of a function's arguments do.
std::vector<double> lengths_in(const Op& op);
OpPtr with_lengths(const Op& op, const std::vector<double>& lengths);

// Its fields as text, one by one.
std::vector<std::string> field_texts(const Op& op);

}  // namespace treadle
