// How a kernel works on a batch of matrices: a job knows what one matrix needs
// and does one matrix; here it is given scratch memory and spread over threads.
//
//   template <class T>
//   struct Job {
//     explicit Job(const Task& task);
//     int64_t batch;            // matrices
//     double work;              // multiplications for one, about
//     void take(Scratch& s);    // sets its pointers into the scratch memory
//     void run(int64_t matrix);
//   };
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include "treadle/backend/cpu/openblas.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/base/error.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Memory handed out piece by piece; counts when it has none.
class Scratch {
 public:
  explicit Scratch(void* base) : base_(static_cast<char*>(base)) {}
  template <class T>
  T* take(int64_t count) {
    char* at = base_ ? base_ + used_ : nullptr;
    used_ += (size_t(std::max<int64_t>(count, 1)) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(at);
  }
  size_t used() const { return used_; }

 private:
  char* base_;
  size_t used_ = 0;
};

// The matrices of an operand: its last `Kept` axes (1: vectors, as one row).
template <class T, int Kept = 2>
class MatricesOf {
 public:
  explicit MatricesOf(const runtime::Operand& o)
      : data_(static_cast<T*>(o.data)),
        shape_(o.shape.begin(), o.shape.end() - Kept),
        strides_(o.strides.begin(), o.strides.end() - Kept),
        rows(Kept == 2 ? o.shape[o.shape.size() - 2] : 1),
        columns(o.shape.back()),
        row_step(Kept == 2 ? o.strides[o.strides.size() - 2] : 0),
        column_step(o.strides.back()) {}

  int64_t count() const { return size_of(shape_); }
  bool wanted() const { return data_ != nullptr; }
  T* at(int64_t matrix) const {
    T* p = data_;
    for (size_t i = shape_.size(); i-- > 0;) {
      p += matrix % shape_[i] * strides_[i];
      matrix /= shape_[i];
    }
    return p;
  }

 private:
  T* data_;
  Shape shape_;
  Strides strides_;

 public:
  int64_t rows, columns, row_step, column_step;
};

// Copies a matrix into `to`, row after row without gaps.
template <class T, class U>
void gather(const T* from,
            int64_t row_step,
            int64_t column_step,
            int64_t rows,
            int64_t columns,
            U* to) {
  // Squares, so that a matrix that lies the other way round is read in lines.
  constexpr int64_t kSide = 16;
  const int64_t side = column_step == 1 ? std::max<int64_t>(columns, 1) : kSide;
  for (int64_t i0 = 0; i0 < rows; i0 += kSide) {
    const int64_t i1 = std::min(rows, i0 + kSide);
    for (int64_t j0 = 0; j0 < columns; j0 += side) {
      const int64_t j1 = std::min(columns, j0 + side);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j)
          to[i * columns + j] = U(from[i * row_step + j * column_step]);
    }
  }
}
template <class T>
void gather_rows(const MatricesOf<T>& m,
                 int64_t matrix,
                 std::remove_const_t<T>* to) {
  gather(m.at(matrix), m.row_step, m.column_step, m.rows, m.columns, to);
}
template <class T>
void gather_columns(const MatricesOf<T>& m,
                    int64_t matrix,
                    std::remove_const_t<T>* to) {
  gather(m.at(matrix), m.column_step, m.row_step, m.columns, m.rows, to);
}

// "" or " of matrix 3 of the batch", for errors.
inline std::string which(int64_t batch, int64_t matrix) {
  return batch == 1 ? "" : fmt::format(" (number {} of {})", matrix, batch);
}

template <class T>
void check_finite(std::string_view op,
                  const T* x,
                  int64_t count,
                  int64_t batch,
                  int64_t matrix) {
  for (int64_t i = 0; i < count; ++i) {
    if (std::isfinite(std::real(x[i])) && std::isfinite(std::imag(x[i])))
      continue;
    unsupported(op,
                fmt::format("the matrix{} holds NaN or an infinity; expected "
                            "finite numbers.",
                            which(batch, matrix)));
  }
}

// The threads that are worth it: a job's work pays for waking one.
template <class Job>
int workers_of(const Job& job, const runtime::Task& task) {
  if (double(job.batch) * job.work < 64 * 64 * 64) return 1;
  return int(std::min<int64_t>(task.threads, job.batch));
}

template <class Job>
size_t job_workspace(const runtime::Task& task) {
  prepare_openblas();
  Job job(task);
  if (job.batch == 0) return 0;
  Scratch count(nullptr);
  job.take(count);
  return count.used() * size_t(workers_of(job, task));
}

template <class Job>
void run_job(const runtime::Task& task) {
  prepare_openblas();
  const Job first(task);
  if (first.batch == 0) return;
  const int workers = workers_of(first, task);
  Scratch count(nullptr);
  Job(first).take(count);
  // A few at a time, as many as are worth asking for.
  const int64_t few = std::max<int64_t>(
      1, int64_t(std::min(1e9, 1e4 / std::max(first.work, 1.0))));
  const int64_t groups = (first.batch + few - 1) / few;
  Tasks tasks(groups, workers);
  parallel_workers(workers, [&](int worker) {
    Job job(first);
    Scratch scratch(static_cast<char*>(task.workspace) +
                    count.used() * size_t(worker));
    job.take(scratch);
    for (int64_t g = 0; tasks.take(worker, &g);) {
      const int64_t end = std::min(first.batch, (g + 1) * few);
      for (int64_t i = g * few; i < end; ++i) job.run(i);
    }
  });
}

// The kernel of a job template, for the real dtypes and, if so said, complex64.
template <template <class> class Job, bool Complex = false>
runtime::Kernel kernel_of_job(std::string_view name) {
  auto choose = []<class F>(Dtype dtype, F&& f) {
    if (dtype == float32) return f.template operator()<float>();
    if constexpr (Complex) {
      if (dtype == complex64) return f.template operator()<complex64_t>();
    }
    return f.template operator()<double>();
  };
  static constexpr auto pick = choose;
  return {
      .name = name,
      .run =
          [](const runtime::Task& task) {
            pick(task.in[0].dtype, [&]<class T>() { run_job<Job<T>>(task); });
          },
      .workspace =
          [](const runtime::Task& task) {
            return pick(task.in[0].dtype,
                        [&]<class T>() { return job_workspace<Job<T>>(task); });
          },
      .strided = true};
}

}  // namespace treadle::backend::cpu
