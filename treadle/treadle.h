// Everything a program needs: arrays, operations, transforms, nn, optimizers.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/record.h"
#include "treadle/graph/tree.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/autodiff.h"
