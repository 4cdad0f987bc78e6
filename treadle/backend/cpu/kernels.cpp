// The list of CPU kernels: for each op the fastest first, the reference last.
#include "treadle/backend/cpu/arg_reduce.h"
#include "treadle/backend/cpu/attention.h"
#include "treadle/backend/cpu/backend.h"
#include "treadle/backend/cpu/banded.h"
#include "treadle/backend/cpu/chosen_products.h"
#include "treadle/backend/cpu/conv_matmul.h"
#include "treadle/backend/cpu/create.h"
#include "treadle/backend/cpu/cumulative.h"
#include "treadle/backend/cpu/factored_squares.h"
#include "treadle/backend/cpu/fft.h"
#include "treadle/backend/cpu/join_indices.h"
#include "treadle/backend/cpu/linalg.h"
#include "treadle/backend/cpu/matmul.h"
#include "treadle/backend/cpu/moments.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/onednn/conv.h"
#include "treadle/backend/cpu/pool.h"
#include "treadle/backend/cpu/random.h"
#include "treadle/backend/cpu/reduce.h"
#include "treadle/backend/cpu/ref/conv.h"
#include "treadle/backend/cpu/ref/create.h"
#include "treadle/backend/cpu/ref/cumulative.h"
#include "treadle/backend/cpu/ref/elementwise.h"
#include "treadle/backend/cpu/ref/fft.h"
#include "treadle/backend/cpu/ref/index.h"
#include "treadle/backend/cpu/ref/matmul.h"
#include "treadle/backend/cpu/ref/move.h"
#include "treadle/backend/cpu/ref/pool.h"
#include "treadle/backend/cpu/ref/random.h"
#include "treadle/backend/cpu/ref/reduce.h"
#include "treadle/backend/cpu/ref/sort.h"
#include "treadle/backend/cpu/ref/symmetric_root.h"
#include "treadle/backend/cpu/rope.h"
#include "treadle/backend/cpu/scan.h"
#include "treadle/backend/cpu/scatter.h"
#include "treadle/backend/cpu/sort.h"
#include "treadle/backend/cpu/take.h"
#include "treadle/backend/cpu/tape.h"
#include "treadle/backend/cpu/true_places.h"
#include "treadle/ops/arg_reduce.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/banded.h"
#include "treadle/ops/chosen_products.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/factored_squares.h"
#include "treadle/ops/fft.h"
#include "treadle/ops/index.h"
#include "treadle/ops/join_indices.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/moments.h"
#include "treadle/ops/pool.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/rope.h"
#include "treadle/ops/scan.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/symmetric_root.h"
#include "treadle/ops/true_places.h"
#include "treadle/ops/views.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

void register_kernels(runtime::KernelTable& table) {
  table.add<plan::Fused>({tape_kernel()});
  table.add<Elementwise>({ref_elementwise()});
  table.add<Scan>({loop_scan()});
  table.add<Matmul>(
      {onednn_matmul(), openblas_matmul(), own_matmul(), ref_matmul()});
  table.add<ChosenProducts>({chosen_products()});
  table.add<SegmentProducts>({segment_products()});
  table.add<SegmentRows>({segment_rows()});
  table.add<Conv>({onednn_conv(), matmul_conv(), ref_conv()});
  table.add<ConvInputGrad>({onednn_conv_input_grad(),
                            matmul_conv_input_grad(),
                            ref_conv_input_grad()});
  table.add<ConvWeightGrad>({onednn_conv_weight_grad(),
                             matmul_conv_weight_grad(),
                             ref_conv_weight_grad()});
  table.add<Pool>({pool(), ref_pool()});
  table.add<MeanPoolGrad>({mean_pool_grad(), ref_mean_pool_grad()});
  table.add<MaxPoolGrad>({max_pool_grad(), ref_max_pool_grad()});
  table.add<MaxPoolPick>({max_pool_pick(), ref_max_pool_pick()});
  table.add<Attention>({attention()});
  table.add<AttentionGrad>({attention_grad()});
  table.add<Banded>({banded()});
  table.add<TruePlaces>({true_places()});
  table.add<Moments>({moments()});
  table.add<CentredSums>({centred_sums()});
  table.add<FactoredSquares>({factored_squares()});
  table.add<Rope>({rope()});
  table.add<Reduce>({reduce(), ref_reduce()});
  table.add<ArgReduce>({arg_reduce(), ref_arg_reduce()});
  table.add<Cumulative>({cumulative(), ref_cumulative()});
  table.add<Sort>({sort(), ref_sort()});
  table.add<ArgSort>({argsort(), ref_argsort()});
  table.add<ArgPartition>({argpartition(), ref_argpartition()});
  table.add<SearchSorted>({searchsorted(), ref_searchsorted()});
  register_linalg(table);
  table.add<fft::Fft>({ducc_fft(), ref_fft()});
  table.add<SymmetricRoot>({ref_symmetric_root()});
  table.add<AsType>({ref_astype()});
  table.add<Contiguous>({contiguous(), ref_contiguous()});
  table.add<SliceUpdate>({slice_update(), ref_slice_update()});
  table.add<Pad>({pad(), ref_pad()});
  table.add<Concatenate>({concatenate(), ref_concatenate()});
  table.add<Arange>({arange(), ref_arange()});
  table.add<RandomBits>({random_bits(), ref_random_bits()});
  table.add<JoinIndices>({join_indices()});
  table.add<Take>({take(), ref_take()});
  table.add<TakeAlongAxis>({take_along_axis(), ref_take_along_axis()});
  table.add<Scatter>({scatter(), ref_scatter()});
  table.add<ScatterAlongAxis>({scatter_along_axis(), ref_scatter_along_axis()});
}

}  // namespace treadle::backend::cpu
