// Threads that enter a function together: those of libgomp, which oneDNN's
// products use as well, or a pool of our own where libgomp is absent or the
// build wants none (TREADLE_THREADS=std).
#pragma once

namespace treadle::backend::cpu {

class Team {
 public:
  // The one of this process; made when the library is loaded.
  static Team& get();

  virtual ~Team() = default;
  // As many as OMP_NUM_THREADS says, or processors that this process may use.
  virtual int size() const = 0;
  // What size() says from now on, on this thread.
  virtual void resize(int threads) = 0;
  // Whether this thread is inside of run().
  virtual bool inside() const = 0;
  // Calls worker(body, i) for i in [0, threads), 0 on this thread, and waits.
  // `worker` does not throw. Fewer calls when the system grants fewer threads.
  virtual void run(int threads, void (*worker)(void*, int), void* body) = 0;
  // Ends the threads that wait for this thread's next run(), which makes new
  // ones.
  virtual void dissolve() {}
};

}  // namespace treadle::backend::cpu
