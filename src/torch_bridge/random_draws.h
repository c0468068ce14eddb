// Random numbers operator by operator: noted in a region's forward, drawn again in its recomputation,
// without any generator that threads share being disturbed.
//
// Operators are given a stand-in for the CPU generator that they would draw from, so that what they draw
// can be told from what other threads draw at the same time. Generators of other devices are not
// handled here (see rng_state.h).
// Tried on LibTorch 1.13.1, 2.6.0 and 2.11.0+cu130.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include <ATen/core/Generator.h>

#include "torch_bridge/cpu_rng_state.h"
#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {

/// Where each draw of a pass began, as far as it did not begin where the one before it had ended.
class DrawRecord {
 public:
  bool empty() const { return streams_.empty() && unseen_.empty(); }

 private:
  friend class RecordDraws;
  friend class ReplayDraws;
  friend class DrawPath;

  struct Jump {
    std::size_t draw;
    CpuRngState state;
  };
  /// The draws from one generator.
  struct Stream {
    at::Generator generator;
    std::size_t draws = 0;
    std::vector<Jump> jumps;          // the first draw is one
    std::optional<CpuRngState> next;  // where the last draw ended, if known
  };
  Stream& stream_of(const at::Generator& generator);
  const Stream* find(const at::Generator& generator) const;

  std::vector<Stream> streams_;
  // Where operators began that moved the default generator otherwise than by draws that were seen; by
  // their position among the operators that may do so.
  std::map<std::size_t, CpuRngState> unseen_;
};

class RecordDraws;
class ReplayDraws;

/// What happens to this thread's draws; the innermost scope is asked first. Scopes end in reverse order.
class DrawScope {
 public:
  DrawScope(const DrawScope&) = delete;
  DrawScope& operator=(const DrawScope&) = delete;

 protected:
  DrawScope();
  virtual ~DrawScope();

 private:
  friend class DrawPath;
  virtual RecordDraws* as_record() { return nullptr; }
  virtual ReplayDraws* as_replay() { return nullptr; }

  DrawScope* outer_;
};

/// While it lives, this thread's draws are noted in `record`.
class RecordDraws final : public DrawScope {
 public:
  explicit RecordDraws(DrawRecord& record) : record_(record) {}

 private:
  friend class DrawPath;
  RecordDraws* as_record() override { return this; }

  void begin_draw(const at::Generator& generator, const CpuRngState& at);
  void end_draw(const at::Generator& generator, const CpuRngState& at);
  /// An operator that may draw unseen, while it runs.
  struct Watch {
    std::size_t position;
    std::size_t draws_before;
    CpuRngState before;
  };
  Watch begin_watch();
  void end_watch(const Watch& watch, bool from_real);
  bool explains(const Watch& watch, bool from_real) const;
  std::size_t draws_from_default() const;

  DrawRecord& record_;
  std::size_t unseen_ops_ = 0;
};

/// While it lives, this thread draws what `record` noted. Should the code that draws seed or set a
/// generator, that is undone at the end.
class ReplayDraws final : public DrawScope {
 public:
  explicit ReplayDraws(const DrawRecord& record);
  ~ReplayDraws() override;

 private:
  friend class DrawPath;
  ReplayDraws* as_replay() override { return this; }

  struct Stream {
    at::Generator real;
    at::Generator stand_in;  // made for the first draw
    CpuRngState real_at_start;
    const DrawRecord::Stream* recorded;  // nullptr: the forward drew nothing from it
    std::size_t draws = 0;
    std::size_t next_jump = 0;
  };

  Stream& stream_of(const at::Generator& generator);
  at::Generator begin_draw(const at::Generator& generator);
  void end_draw(const at::Generator& generator, const at::Generator& stand_in) const;
  const CpuRngState* next_unseen();
  static void undo_seeding(const Stream& stream);

  const DrawRecord& record_;
  std::vector<Stream> streams_;
  std::size_t unseen_ops_ = 0;
  bool default_follows_ =
      false;  // for an operator that draws unseen, the default generator is moved, too
};

/// The generator for which `generator` stands in on this thread; mostly itself.
at::Generator real_generator(const at::Generator& generator);

/// Runs `call`; what it draws from CPU generators is noted or replayed as this thread's scopes say. To be
/// called by every interceptor of a call, in place of call.proceed(); the first one does it.
///
/// Cost:    nothing but a look-up for operators that draw nothing; a few copies of 2.5 KB for a draw.
/// Threads: draws from the default generator by threads that have scopes exclude each other. A thread
///          without may get the same numbers as one that draws at the same time.
void proceed_with_draws(OpCall& call);

}  // namespace remat::torch_bridge
