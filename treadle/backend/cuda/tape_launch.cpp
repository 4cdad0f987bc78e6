#include "treadle/backend/cuda/tape_launch.h"

#include <algorithm>
#include <bit>

#include "treadle/base/error.h"

namespace treadle::backend::cuda {
namespace {

using plan::OutputForm;
using plan::Tape;
using runtime::Operand;

// Blocks that a column reduction is cut into. From sizes alone, so that sums
// have the same bits on every GPU.
constexpr int64_t kColumnBlocks = 2048, kRowSumBlocks = 512;
// A map walks rows of at least this length one by one; shorter ones by
// position.
constexpr int64_t kShortestInner = 32;
constexpr int64_t kLargestGrid = 0x7fffffff;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Axes of the space with each operand's strides along them.
struct Axes {
  Shape size;
  std::vector<Strides> stride;  // of each operand

  int rank() const { return int(size.size()); }
  int64_t elements() const { return size_of(size); }
};

// Axes [first, last) of the space, without those of length 1; two become one
// where every operand walks over both in one step.
Axes merge(const Shape& space,
           std::span<const Operand> in,
           int first,
           int last) {
  Axes a;
  a.stride.resize(in.size());
  for (int d = first; d < last; ++d) {
    if (space[d] == 1) continue;
    bool joins = a.rank() > 0;
    for (size_t i = 0; i < in.size() && joins; ++i) {
      joins = a.stride[i].back() == in[i].strides[d] * space[d];
    }
    if (joins) {
      a.size.back() *= space[d];
      for (size_t i = 0; i < in.size(); ++i)
        a.stride[i].back() = in[i].strides[d];
    } else {
      a.size.push_back(space[d]);
      for (size_t i = 0; i < in.size(); ++i)
        a.stride[i].push_back(in[i].strides[d]);
    }
  }
  return a;
}

Access access_of(const Axes& a, size_t operand) {
  const Strides& s = a.stride[operand];
  if (std::all_of(s.begin(), s.end(), [](int64_t v) { return v == 0; })) {
    return Access::repeated;
  }
  return is_row_contiguous(a.size, s) ? Access::dense : Access::strided;
}

// A space as a kernel walks it: outer positions, and inner ones at each.
struct Walk {
  Axes outer, inner;
};

// A map may cut its space anywhere: all of it is inner, unless only the last
// axis is alike for all operands and long enough to be walked on its own.
Walk cut_map(const Shape& space, std::span<const Operand> in) {
  const int rank = int(space.size());
  Axes all = merge(space, in, 0, rank);
  Walk w;
  w.outer.stride.resize(in.size());
  bool even = all.rank() > 1 && all.size.back() >= kShortestInner;
  for (size_t i = 0; i < in.size() && even; ++i) {
    even = all.stride[i].back() == 0 || all.stride[i].back() == 1;
  }
  if (even) {
    w.inner.size = {all.size.back()};
    w.inner.stride.resize(in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      w.inner.stride[i] = {all.stride[i].back()};
      all.stride[i].pop_back();
    }
    all.size.pop_back();
    w.outer = std::move(all);
  } else {
    w.inner = std::move(all);
  }
  return w;
}

bool aligned(const void* p, size_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

// True when every load and store of `width` elements starts at a multiple of
// its size, up to 16 bytes.
bool fits_vectors(const Tape& tape,
                  const LayoutClass& layout,
                  const Walk& w,
                  std::span<const Operand> in,
                  std::span<const Operand> out) {
  for (Access a : layout.operands) {
    if (a == Access::strided) return false;
  }
  LayoutClass vectors = layout;
  vectors.vector = true;
  const int width = geometry(tape, vectors).width;
  auto bytes = [&](Dtype t) {
    return std::min<size_t>(16, size_of(t) * width);
  };
  if (layout.outer != Outer::none && w.inner.elements() % width != 0)
    return false;
  for (size_t i = 0; i < in.size(); ++i) {
    if (layout.operands[i] != Access::dense) continue;
    if (!aligned(in[i].data, bytes(in[i].dtype))) return false;
    for (int64_t s : w.outer.stride[i]) {
      if (s % width != 0) return false;
    }
  }
  for (size_t i = 0; i < out.size(); ++i) {
    if (tape.outputs[i].form != OutputForm::full) continue;
    if (!aligned(out[i].data, bytes(out[i].dtype))) return false;
  }
  return true;
}

LayoutClass layout_of(const Tape& tape,
                      const Walk& w,
                      bool rows,
                      std::span<const Operand> in,
                      std::span<const Operand> out) {
  LayoutClass layout;
  bool strided = false;
  for (size_t i = 0; i < in.size(); ++i) {
    layout.operands.push_back(access_of(w.inner, i));
    strided |= layout.operands.back() == Access::strided;
  }
  if (rows || w.outer.rank() > 0) {
    layout.outer = w.outer.rank() > 1 ? Outer::axes : Outer::axis;
  }
  if (layout.outer != Outer::none || strided) {
    constexpr int64_t limit = int64_t(1) << 32;
    const int64_t most = rows ? std::max(w.outer.elements(), w.inner.elements())
                              : w.outer.elements() * w.inner.elements();
    layout.wide =
        most >= limit && (strided || layout.outer == Outer::axes || !rows);
  }
  layout.vector = fits_vectors(tape, layout, w, in, out);
  return layout;
}

uint32_t grid(int64_t blocks) {
  return uint32_t(std::clamp<int64_t>(blocks, 1, kLargestGrid));
}

}  // namespace

// Word positions in Args; the source declares the same.
namespace word {
constexpr size_t kRows = 0, kLength = 1, kBlockRows = 2, kBlocks = 3,
                 kWorkspace = 4, kOuterRank = 5, kInnerRank = 6, kSize = 7,
                 kOperands = kSize + kMaxRank, kPerOperand = 1 + kMaxRank;
}

void TapeLaunch::set_workspace(void* p) {
  args[word::kWorkspace] = reinterpret_cast<uintptr_t>(p);
}

TapeLaunch launch_of(const Tape& tape,
                     const Shape& space,
                     std::span<const Operand> in,
                     std::span<const Operand> out) {
  const bool rows = tape.inner_axes > 0;
  const int rank = int(space.size()), cut = rank - tape.inner_axes;
  Walk w;
  if (rows) {
    w = {merge(space, in, 0, cut), merge(space, in, cut, rank)};
  } else {
    w = cut_map(space, in);
  }
  const int total_rank = w.outer.rank() + w.inner.rank();
  if (total_rank > kMaxRank) {
    unsupported("fused",
                "shape " + to_string(space) + " has " +
                    std::to_string(total_rank) +
                    " axes that cannot be merged; CUDA kernels take " +
                    std::to_string(kMaxRank) + ".");
  }

  TapeLaunch l;
  l.layout = layout_of(tape, w, rows, in, out);
  const Geometry g = geometry(tape, l.layout);
  const int64_t m = w.outer.elements(), n = w.inner.elements();
  int64_t block_rows = 1, blocks = 1;
  const int64_t chunks = ceil_div(n, g.width);

  if (g.family == Family::map) {
    const int64_t per_block = int64_t(kMapThreads) * g.unroll;
    if (m * n > 0) {
      l.calls.push_back({"map",
                         {grid(ceil_div(m * chunks, per_block)), 1},
                         {kMapThreads, 1}});
    }
  } else if (g.family == Family::rows) {
    if (g.column_sums > 0) {
      block_rows = std::max<int64_t>(1, ceil_div(m, kRowSumBlocks));
    } else {
      block_rows = std::max<int64_t>(1, ceil_div(m, kLargestGrid));
    }
    blocks = ceil_div(m, block_rows);
    if (m > 0) {
      // As few threads as hold the row, so that each has much to load.
      const int64_t group =
          g.group_chunks > 0
              ? std::bit_ceil(uint64_t(ceil_div(chunks, g.group_chunks)))
              : 64;
      const bool block =
          g.block_chunks > 0 && chunks <= int64_t(kRowThreads) * g.block_chunks;
      if (group <= 32) {
        const int64_t at_once = kGroupThreads / group;
        l.calls.push_back({"group_rows",
                           {grid(ceil_div(m, at_once)), 1},
                           {uint32_t(group), uint32_t(at_once)}});
      } else if (block) {
        const int64_t threads = ceil_div(chunks, 32 * g.block_chunks) * 32;
        l.calls.push_back({"block_rows",
                           {grid(blocks), 1},
                           {uint32_t(std::max<int64_t>(32, threads)), 1}});
      } else {
        l.calls.push_back({"long_rows", {grid(blocks), 1}, {kRowThreads, 1}});
      }
    }
  } else {
    const uint32_t across =
        std::bit_ceil(uint32_t(std::clamp<int64_t>(chunks, 1, 32)));
    const uint32_t down = kColumnThreads / across;
    const int64_t tiles = std::max<int64_t>(1, ceil_div(chunks, across));
    const int64_t most = std::max<int64_t>(1, ceil_div(m, 4 * down));
    block_rows = std::max<int64_t>(
        1,
        ceil_div(m,
                 std::clamp<int64_t>(
                     kColumnBlocks / tiles, 1, std::min<int64_t>(most, 1024))));
    blocks = ceil_div(m, block_rows);
    if (m * n > 0) {
      l.calls.push_back(
          {"columns", {grid(tiles), uint32_t(blocks)}, {across, down}});
    }
  }
  if (g.column_sums > 0 && n > 0) {
    l.calls.push_back({"finish",
                       {grid(ceil_div(n, kFinishWidth)), 1},
                       {kFinishWidth, kFinishWidth}});
    l.workspace = size_t(g.column_sums) * size_t(blocks) * size_t(n) * 8;
  }

  const size_t operands = std::max<size_t>(1, in.size());
  l.args.assign(word::kOperands + operands * word::kPerOperand +
                    std::max<size_t>(1, out.size()),
                0);
  l.args[word::kRows] = uint64_t(m);
  l.args[word::kLength] = uint64_t(n);
  l.args[word::kBlockRows] = uint64_t(block_rows);
  l.args[word::kBlocks] = uint64_t(blocks);
  l.args[word::kOuterRank] = uint64_t(w.outer.rank());
  l.args[word::kInnerRank] = uint64_t(w.inner.rank());
  std::copy(w.outer.size.begin(), w.outer.size.end(), &l.args[word::kSize]);
  std::copy(w.inner.size.begin(),
            w.inner.size.end(),
            &l.args[word::kSize + w.outer.rank()]);
  for (size_t i = 0; i < in.size(); ++i) {
    uint64_t* to = &l.args[word::kOperands + i * word::kPerOperand];
    *to++ = reinterpret_cast<uintptr_t>(in[i].data);
    to = std::copy(w.outer.stride[i].begin(), w.outer.stride[i].end(), to);
    std::copy(w.inner.stride[i].begin(), w.inner.stride[i].end(), to);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    l.args[word::kOperands + operands * word::kPerOperand + i] =
        reinterpret_cast<uintptr_t>(out[i].data);
  }
  return l;
}

}  // namespace treadle::backend::cuda
