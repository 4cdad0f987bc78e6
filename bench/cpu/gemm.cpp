// GEMM libraries callable from C++: GFLOP/s on this CPU.
//   g++ -O2 -std=c++17 gemm.cpp -I$DNNL/include -L$DNNL/lib -ldnnl -ldl
//   -fopenmp -Wl,-rpath,$DNNL/lib -o gemm OMP_NUM_THREADS=2 ./gemm onednn
//   OPENBLAS_NUM_THREADS=2 ./gemm blas libscipy_openblas.so scipy_cblas_sgemm
//   scipy_cblas_sbgemm MKL_NUM_THREADS=2 ./gemm blas libmkl_rt.so cblas_sgemm
//   cblas_gemm_bf16bf16f32
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.hpp>
using namespace dnnl;
using dt = memory::data_type;
using tag = memory::format_tag;

static double secs(const std::function<void()>& f) {  // best of many, warmed
  using clk = std::chrono::steady_clock;
  f();
  f();
  double best = 1e9, total = 0;
  for (int i = 0; i < 3000 && (total < 0.7 || i < 5); ++i) {
    auto t0 = clk::now();
    f();
    double s = std::chrono::duration<double>(clk::now() - t0).count();
    total += s;
    best = s < best ? s : best;
  }
  return best;
}
static void* data(size_t bytes, bool bf16) {
  void* p = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (bf16)
    for (size_t i = 0; i < bytes / 2; ++i)
      ((uint16_t*)p)[i] = 0x3f80 + rand() % 64;
  else
    for (size_t i = 0; i < bytes / 4; ++i)
      ((float*)p)[i] = rand() / (float)RAND_MAX - 0.5f;
  return p;
}
static const long shapes[][3] = {{256, 256, 256},
                                 {1024, 1024, 1024},
                                 {2048, 2048, 2048},
                                 {1024, 1536, 384},
                                 {1, 32000, 1024}};
static void report(const char* lib,
                   const char* what,
                   long m,
                   long n,
                   long k,
                   double s,
                   double wbytes) {
  printf(
      "%-34s %-10s %5ldx%5ldx%5ld %9.4f ms %8.1f GFLOP/s  weights %5.1f GB/s\n",
      lib,
      what,
      m,
      n,
      k,
      s * 1e3,
      2.0 * m * n * k / s / 1e9,
      wbytes / s / 1e9);
  fflush(stdout);
}

static void run_onednn() {
  engine e(engine::kind::cpu, 0);
  stream st(e);
  auto v = dnnl_version();
  printf("oneDNN %d.%d.%d\n", v->major, v->minor, v->patch);
  for (dt t : {dt::f32, dt::bf16})
    for (auto& s : shapes)
      for (int mode = 0; mode < 3;
           ++mode) {  // weights k x n, n x k (as nn.Linear), prepacked
        long m = s[0], n = s[1], k = s[2], es = t == dt::f32 ? 4 : 2;
        memory::desc a({m, k}, t, tag::ab), c({m, n}, t, tag::ab);
        memory::desc b({k, n},
                       t,
                       mode == 0   ? tag::ab
                       : mode == 1 ? tag::ba
                                   : tag::any);
        matmul::primitive_desc pd(e, a, b, c);
        matmul prim(pd);
        memory ma(a, e, data(m * k * es, es == 2)),
            mc(c, e, data(m * n * es, es == 2));
        memory mb(
            pd.weights_desc(), e, data(pd.weights_desc().get_size(), es == 2));
        std::unordered_map<int, memory> args{
            {DNNL_ARG_SRC, ma}, {DNNL_ARG_WEIGHTS, mb}, {DNNL_ARG_DST, mc}};
        double t_ = secs([&] {
          prim.execute(st, args);
          st.wait();
        });
        std::string name = std::string("onednn ") +
                           (mode == 0   ? "kn "
                            : mode == 1 ? "nk "
                                        : "packed ") +
                           pd.impl_info_str();
        report(name.c_str(),
               t == dt::f32 ? "f32" : "bf16",
               m,
               n,
               k,
               t_,
               double(n) * k * es);
        free(ma.get_data_handle()), free(mb.get_data_handle()),
            free(mc.get_data_handle());
      }
  {  // per-call overhead
    memory::desc d({16, 16}, dt::f32, tag::ab);
    matmul::primitive_desc pd(e, d, d, d);
    matmul prim(pd);
    memory x(d, e), y(d, e), z(d, e);
    std::unordered_map<int, memory> args{
        {DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, y}, {DNNL_ARG_DST, z}};
    double t = secs([&] {
      for (int i = 0; i < 1000; ++i) prim.execute(st, args);
      st.wait();
    });
    printf("onednn cached matmul 16x16: %.0f ns/call (%s)\n",
           t * 1e6,
           pd.impl_info_str());
    t = secs([&] {
      for (int i = 0; i < 100; ++i) {
        matmul::primitive_desc q(e, d, d, d);
        matmul r(q);
      }
    });
    printf("onednn primitive creation (its own cache hit): %.0f ns\n", t * 1e7);
  }
  for (dt t : {dt::f32, dt::bf16})
    for (auto act : {tag::nhwc, tag::any}) {
      memory::dims sd{16, 64, 56, 56}, wd{64, 64, 3, 3};
      memory::desc x(sd, t, act), w(wd, t, tag::any), y(sd, t, act);
      auto al = algorithm::convolution_direct;
      memory::dims one{1, 1};
      convolution_forward::primitive_desc f(
          e, prop_kind::forward_training, al, x, w, y, one, one, one);
      convolution_backward_data::primitive_desc bd(
          e, al, x, w, y, one, one, one, f);
      convolution_backward_weights::primitive_desc bw(
          e, al, x, w, y, one, one, one, f);
      auto mem = [&](memory::desc d) {
        memory m(d, e);
        float* p = (float*)m.get_data_handle();
        memset(p, 0, d.get_size());
        return m;
      };
      double fl = 2.0 * 16 * 56 * 56 * 64 * 64 * 9;
      auto rep = [&](const char* what, double s, const char* impl) {
        printf(
            "onednn conv3x3 64->64 56x56 b16 %s %s %-12s %8.3f ms %8.1f "
            "GFLOP/s (%s)\n",
            t == dt::f32 ? "f32" : "bf16",
            act == tag::nhwc ? "nhwc" : "any",
            what,
            s * 1e3,
            fl / s / 1e9,
            impl);
        return s;
      };
      memory mx = mem(f.src_desc()), mw = mem(f.weights_desc()),
             my = mem(f.dst_desc());
      convolution_forward cf(f);
      double s = rep("fwd",
                     secs([&] {
                       cf.execute(st,
                                  {{DNNL_ARG_SRC, mx},
                                   {DNNL_ARG_WEIGHTS, mw},
                                   {DNNL_ARG_DST, my}});
                       st.wait();
                     }),
                     f.impl_info_str());
      memory dx = mem(bd.diff_src_desc()), w2 = mem(bd.weights_desc()),
             dy = mem(bd.diff_dst_desc());
      convolution_backward_data cd(bd);
      s += rep("bwd data",
               secs([&] {
                 cd.execute(st,
                            {{DNNL_ARG_DIFF_SRC, dx},
                             {DNNL_ARG_WEIGHTS, w2},
                             {DNNL_ARG_DIFF_DST, dy}});
                 st.wait();
               }),
               bd.impl_info_str());
      memory x2 = mem(bw.src_desc()), dw = mem(bw.diff_weights_desc()),
             dy2 = mem(bw.diff_dst_desc());
      convolution_backward_weights cw(bw);
      s += rep("bwd weights",
               secs([&] {
                 cw.execute(st,
                            {{DNNL_ARG_SRC, x2},
                             {DNNL_ARG_DIFF_WEIGHTS, dw},
                             {DNNL_ARG_DIFF_DST, dy2}});
                 st.wait();
               }),
               bw.impl_info_str());
      printf("  fwd+bwd %.3f ms %.1f GFLOP/s\n", s * 1e3, 3 * fl / s / 1e9);
    }
}

static void run_blas(const char* path, const char* sg, const char* bg) {
  void* h = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!h) {
    printf("%s\n", dlerror());
    exit(1);
  }
  typedef void (*sgemm)(int,
                        int,
                        int,
                        int,
                        int,
                        int,
                        float,
                        const void*,
                        int,
                        const void*,
                        int,
                        float,
                        void*,
                        int);
  const char* base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  for (int bf = 0; bf < 2; ++bf) {
    auto f = (sgemm)dlsym(h, bf ? bg : sg);
    if (!f) {
      printf("%s: no %s\n", base, bf ? bg : sg);
      continue;
    }
    for (auto& s : shapes)
      for (int tb = 0; tb < 2; ++tb) {
        long m = s[0], n = s[1], k = s[2], es = bf ? 2 : 4;
        void *a = data(m * k * es, bf), *b = data(n * k * es, bf),
             *c = data(m * n * 4, false);
        double t = secs([&] {
          f(101,
            111,
            tb ? 112 : 111,
            m,
            n,
            k,
            1.f,
            a,
            k,
            b,
            tb ? k : n,
            0.f,
            c,
            n);
        });
        report((std::string(base) + (tb ? " nk" : " kn")).c_str(),
               bf ? "bf16->f32" : "f32",
               m,
               n,
               k,
               t,
               double(n) * k * es);
        free(a), free(b), free(c);
      }
  }
}
int main(int argc, char** argv) {
  if (argc > 3 && !strcmp(argv[1], "blas"))
    run_blas(argv[2], argv[3], argc > 4 ? argv[4] : "none");
  else
    run_onednn();
}
