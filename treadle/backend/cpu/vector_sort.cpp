#include "treadle/backend/cpu/vector_sort.h"

#include "hwy/contrib/sort/vqsort.h"

#ifdef TREADLE_HWY_SORT_LIBRARY

#include "treadle/backend/cpu/shared_library.h"

namespace treadle::backend::cpu {

namespace {

constinit SharedLibrary library("Highway", TREADLE_HWY_SORT_LIBRARY);

// Its members by their names in the library, with the object as first argument.
constinit const Imported<void(void*)> construct(library, "_ZN3hwy6SorterC1Ev");
constinit const Imported<void(void*)> release(library,
                                              "_ZN3hwy6Sorter6DeleteEv");
template <class K>
using Sort = Imported<void(const void*, K*, size_t, hwy::SortAscending)>;

class Sorter {
 public:
  Sorter() { construct(memory_); }
  ~Sorter() { release(memory_); }
  Sorter(const Sorter&) = delete;
  Sorter& operator=(const Sorter&) = delete;
  const void* get() const { return memory_; }

 private:
  alignas(hwy::Sorter) char memory_[sizeof(hwy::Sorter)];
};

}  // namespace

#define TREADLE_SORT(K, letters)                                        \
  template <>                                                           \
  void vector_sort<K>(K * keys, size_t n) {                             \
    static constinit const Sort<K> sort(                                \
        library, "_ZNK3hwy6SorterclEP" letters "mNS_13SortAscendingE"); \
    sort(Sorter().get(), keys, n, {});                                  \
  }

}  // namespace treadle::backend::cpu

#else

#define TREADLE_SORT(K, letters)                  \
  template <>                                     \
  void vector_sort<K>(K * keys, size_t n) {       \
    hwy::Sorter()(keys, n, hwy::SortAscending()); \
  }

#endif

namespace treadle::backend::cpu {

TREADLE_SORT(uint16_t, "t")
TREADLE_SORT(uint32_t, "j")
TREADLE_SORT(uint64_t, "m")
TREADLE_SORT(int16_t, "s")
TREADLE_SORT(int32_t, "i")
TREADLE_SORT(int64_t, "l")
TREADLE_SORT(hwy::uint128_t, "NS_9uint128_tE")

}  // namespace treadle::backend::cpu
