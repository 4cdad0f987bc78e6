#!/usr/bin/env bash
# Builds the smoke run with g++ and the CUDA toolkit alone and runs it on GPU 0:
#   tools/gpu_smoke/run.sh [BUILD_FOLDER] [arguments of gpu_smoke]
# With SANITIZE=1 the small checks run under compute-sanitizer too. BUILD_ONLY=1
# stops after the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${1:-build/gpu_smoke}
shift || true
mkdir -p "$out"

cuda=${CUDA_HOME:-/usr/local/cuda}
[[ -f $cuda/include/nvrtc.h ]] || cuda=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
libraries=()
for folder in "$cuda"/lib64 "$cuda"/targets/x86_64-linux/lib "$cuda"/lib; do
  [[ -d $folder ]] && libraries+=("-L$folder" "-L$folder/stubs" "-Wl,-rpath,$folder")
done

# The printer, its launch arithmetic and the few parts of treadle/ they need.
sources=(
  treadle/backend/cuda/*.cpp
  treadle/base/{dtype,error,shape}.cpp
  treadle/plan/tape.cpp
  tests/cuda_check/{tapes,nvrtc}.cpp
  tools/gpu_smoke/*.cpp
)
flags=(-std=c++20 -O2 -Wall -Wextra -Wno-array-bounds -Wno-stringop-overflow -fwrapv -ffp-contract=off -ffunction-sections -DFMT_HEADER_ONLY -I. -isystem "$cuda/include")
objects=()
jobs=()
for source in "${sources[@]}"; do
  object=$out/$(echo "$source" | tr / _).o
  objects+=("$object")
  [[ $object -nt $source ]] && continue
  g++ "${flags[@]}" -c "$source" -o "$object" &
  jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
# The sections that need the graph are never reached, and dropped.
g++ "${objects[@]}" -Wl,--gc-sections "${libraries[@]}" -lnvrtc -lcuda -o "$out/gpu_smoke"
[[ -n ${BUILD_ONLY:-} ]] && exit

status=0
"$out/gpu_smoke" "$@" || status=$?
if [[ -n ${SANITIZE:-} ]]; then
  for tape in "softmax f32 (" "layer_norm_backward f32 (3" "column extremes f32" "relu(x w + b) f32"; do
    timeout 120 compute-sanitizer --error-exitcode 3 "$out/gpu_smoke" --checks-only --only "$tape" || status=$?
  done
  timeout 120 compute-sanitizer --tool racecheck --error-exitcode 3 "$out/gpu_smoke" --checks-only --only "softmax f32 (5, 4096)" || status=$?
fi
exit $status
