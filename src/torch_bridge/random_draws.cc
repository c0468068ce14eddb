#include "torch_bridge/random_draws.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include <c10/util/ScopeExit.h>

#include "torch_bridge/op_draws.h"

namespace remat::torch_bridge {
namespace {

thread_local DrawScope* innermost = nullptr;
thread_local const OpCall* handled = nullptr;  // another interceptor of it came here first

/// A generator and what operators that are running on this thread got in its place.
struct ActiveDraw {
  at::Generator real;
  at::Generator stand_in;
};
thread_local std::vector<ActiveDraw> active;

const at::Generator& default_generator() { return at::detail::getDefaultCPUGenerator(); }

CpuRngState state_of(const at::Generator& generator) {
  return CpuRngState::of(*cpu_generator(generator));
}

void put(const CpuRngState& state, const at::Generator& generator) {
  state.put_into(*cpu_generator(generator));
}

/// A generator of this thread's own, for draws `depth` deep.
at::Generator private_generator(std::size_t depth) {
  thread_local std::vector<at::Generator> generators;
  while (generators.size() <= depth) {
    generators.push_back(at::detail::createCPUGenerator());
  }
  return generators[depth];
}

/// What an operator that was given `generator` has to use instead; undefined if it is no draw in
/// progress. An operator's parts get what the operator got.
at::Generator stand_in_of_active(const at::Generator& generator) {
  for (const ActiveDraw& draw : active) {
    if (draw.real == generator || draw.stand_in == generator) {
      return draw.stand_in;
    }
  }
  return {};
}

/// The generator that a call draws from; undefined if that is another device's default one.
at::Generator generator_of(OpCall& call, const OpDraws& draws, const c10::IValue& argument) {
  if (argument.isGenerator()) {
    return argument.toGenerator();
  }
  const auto arguments = torch::jit::last(call.stack(), call.argument_count());
  return device_of_draws(draws, arguments).is_cpu() ? default_generator() : at::Generator();
}

}  // namespace

// ---- scopes --------------------------------------------------------------------------------------

DrawScope::DrawScope() : outer_(std::exchange(innermost, this)) {}
DrawScope::~DrawScope() { innermost = outer_; }

DrawRecord::Stream& DrawRecord::stream_of(const at::Generator& generator) {
  for (Stream& stream : streams_) {
    if (stream.generator == generator) {
      return stream;
    }
  }
  streams_.push_back({generator, 0, {}, std::nullopt});
  return streams_.back();
}

const DrawRecord::Stream* DrawRecord::find(const at::Generator& generator) const {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [&](const Stream& s) { return s.generator == generator; });
  return found != streams_.end() ? &*found : nullptr;
}

void RecordDraws::begin_draw(const at::Generator& generator, const CpuRngState& at) {
  DrawRecord::Stream& stream = record_.stream_of(generator);
  if (!stream.next || *stream.next != at) {
    stream.jumps.push_back({stream.draws, at});
  }
  ++stream.draws;
}

void RecordDraws::end_draw(const at::Generator& generator, const CpuRngState& at) {
  record_.stream_of(generator).next = at;
}

std::size_t RecordDraws::draws_from_default() const {
  const DrawRecord::Stream* stream = record_.find(default_generator());
  return stream != nullptr ? stream->draws : 0;
}

RecordDraws::Watch RecordDraws::begin_watch() {
  return {unseen_ops_++, draws_from_default(), state_of(default_generator())};
}

void RecordDraws::end_watch(const Watch& watch, bool from_real) {
  if (!explains(watch, from_real)) {
    record_.unseen_.emplace(watch.position, watch.before);
    record_.stream_of(default_generator()).next.reset();
  }
}

/// Whether the draws seen during the watch are all that moved the default generator.
bool RecordDraws::explains(const Watch& watch, bool from_real) const {
  const CpuRngState now = state_of(default_generator());
  if (!from_real || draws_from_default() == watch.draws_before) {
    return now == watch.before;
  }
  const DrawRecord::Stream& stream = *record_.find(default_generator());
  const bool without_gaps =
      std::all_of(stream.jumps.begin(), stream.jumps.end(), [&](const DrawRecord::Jump& jump) {
        return jump.draw < watch.draws_before ||
               (jump.draw == watch.draws_before && jump.state == watch.before);
      });
  return without_gaps && stream.next && *stream.next == now;
}

ReplayDraws::ReplayDraws(const DrawRecord& record) : record_(record) {
  // Where they stand now, before the function may seed them.
  stream_of(default_generator());
  for (const DrawRecord::Stream& stream : record.streams_) {
    stream_of(stream.generator);
  }
}

ReplayDraws::~ReplayDraws() {
  for (const Stream& stream : streams_) {
    undo_seeding(stream);
  }
}

/// No draw of the replay moves the real generator: if it stands where the function, not another thread,
/// must have put it, that was the function.
void ReplayDraws::undo_seeding(const Stream& stream) {
  const CpuRngState now = state_of(stream.real);
  if (now == stream.real_at_start) {
    return;
  }
  const auto set_by_forward = [&] {
    const auto& jumps = stream.recorded->jumps;
    return std::any_of(jumps.begin(), jumps.end(), [&](const auto& j) { return j.state == now; });
  };
  if (now.is_fresh() || (stream.recorded != nullptr && set_by_forward())) {
    put(stream.real_at_start, stream.real);
  }
}

ReplayDraws::Stream& ReplayDraws::stream_of(const at::Generator& generator) {
  for (Stream& stream : streams_) {
    if (stream.real == generator) {
      return stream;
    }
  }
  streams_.push_back(
      {generator, at::Generator(), state_of(generator), record_.find(generator), 0, 0});
  return streams_.back();
}

at::Generator ReplayDraws::begin_draw(const at::Generator& generator) {
  Stream& stream = stream_of(generator);
  if (!stream.stand_in.defined()) {
    stream.stand_in = at::detail::createCPUGenerator();
    put(stream.real_at_start, stream.stand_in);
  }
  if (stream.recorded != nullptr && stream.next_jump < stream.recorded->jumps.size() &&
      stream.recorded->jumps[stream.next_jump].draw == stream.draws) {
    put(stream.recorded->jumps[stream.next_jump++].state, stream.stand_in);
  }
  ++stream.draws;
  return stream.stand_in;
}

void ReplayDraws::end_draw(const at::Generator& generator, const at::Generator& stand_in) const {
  if (default_follows_ && generator == default_generator()) {
    put(state_of(stand_in), generator);
  }
}

const CpuRngState* ReplayDraws::next_unseen() {
  const auto found = record_.unseen_.find(unseen_ops_++);
  return found != record_.unseen_.end() ? &found->second : nullptr;
}

// ---- draws ---------------------------------------------------------------------------------------

/// The way of one draw through this thread's scopes: noted by every record on it, up to where the numbers
/// come from, which is a replay or, without one, the real generator.
class DrawPath {
 public:
  DrawPath();

  void draw(OpCall& call, std::size_t argument, const at::Generator& generator);
  void watch(OpCall& call);

 private:
  void proceed_with(OpCall& call, std::size_t argument, const at::Generator& generator,
                    const at::Generator& stand_in);
  void draw_from_real(OpCall& call, std::size_t argument, const at::Generator& generator);
  void proceed_and_note(OpCall& call, bool from_real);

  std::vector<RecordDraws*> records_;
  ReplayDraws* replay_ = nullptr;
};

DrawPath::DrawPath() {
  for (DrawScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
    RecordDraws* record = scope->as_record();
    if (record == nullptr) {
      replay_ = scope->as_replay();
      return;
    }
    records_.push_back(record);
  }
}

void DrawPath::draw(OpCall& call, std::size_t argument, const at::Generator& generator) {
  if (replay_ != nullptr) {
    const at::Generator stand_in = replay_->begin_draw(generator);
    proceed_with(call, argument, generator, stand_in);
    replay_->end_draw(generator, stand_in);
  } else {
    draw_from_real(call, argument, generator);
  }
}

void DrawPath::draw_from_real(OpCall& call, std::size_t argument, const at::Generator& generator) {
  // Not the generator's own mutex, which kernels and saved-tensor hooks may lock meanwhile. Recursive: an
  // operator's parts may draw from it too.
  static std::recursive_mutex of_default_generator;
  std::unique_lock<std::recursive_mutex> lock(of_default_generator, std::defer_lock);
  if (generator == default_generator()) {
    lock.lock();
  }
  const at::Generator stand_in = private_generator(active.size());
  put(state_of(generator), stand_in);
  const auto move_on = c10::make_scope_exit([&] { put(state_of(stand_in), generator); });
  proceed_with(call, argument, generator, stand_in);
}

void DrawPath::proceed_with(OpCall& call, std::size_t argument, const at::Generator& generator,
                            const at::Generator& stand_in) {
  const CpuRngState before = state_of(stand_in);
  for (RecordDraws* record : records_) {
    record->begin_draw(generator, before);
  }
  call.stack()[argument] = stand_in;
  active.push_back({generator, stand_in});
  {
    const auto end = c10::make_scope_exit([] { active.pop_back(); });
    call.proceed();
  }
  const CpuRngState after = state_of(stand_in);
  for (RecordDraws* record : records_) {
    record->end_draw(generator, after);
  }
}

/// Runs an operator that may draw from the default generator without an operator that shows it.
void DrawPath::watch(OpCall& call) {
  const CpuRngState* before = replay_ != nullptr ? replay_->next_unseen() : nullptr;
  const bool inside_another = replay_ != nullptr && replay_->default_follows_;
  if (before == nullptr || inside_another) {
    proceed_and_note(call, /*from_real=*/replay_ == nullptr || inside_another);
    return;
  }
  const CpuRngState outer = state_of(default_generator());
  const auto restore = c10::make_scope_exit([&] {
    replay_->default_follows_ = false;
    put(outer, default_generator());
  });
  replay_->default_follows_ = true;
  put(*before, default_generator());
  proceed_and_note(call, /*from_real=*/true);
}

void DrawPath::proceed_and_note(OpCall& call, bool from_real) {
  std::vector<RecordDraws::Watch> watches;
  for (RecordDraws* record : records_) {
    watches.push_back(record->begin_watch());
  }
  call.proceed();
  for (std::size_t i = 0; i < records_.size(); ++i) {
    records_[i]->end_watch(watches[i], from_real);
  }
}

at::Generator real_generator(const at::Generator& generator) {
  const auto found = std::find_if(active.begin(), active.end(), [&](const ActiveDraw& draw) {
    return draw.stand_in == generator;
  });
  return found != active.end() ? found->real : generator;
}

void proceed_with_draws(OpCall& call) {
  if (innermost == nullptr || handled == &call) {
    call.proceed();
    return;
  }
  const OpDraws& draws = draws_of(call.op());
  if (draws.generator < 0 && !draws.may_draw_unseen) {
    call.proceed();
    return;
  }
  const OpCall* outer = std::exchange(handled, &call);
  const auto restore = c10::make_scope_exit([outer] { handled = outer; });
  if (draws.generator < 0) {
    DrawPath().watch(call);
    return;
  }
  const std::size_t argument =
      call.stack().size() - call.argument_count() + static_cast<std::size_t>(draws.generator);
  const at::Generator generator = generator_of(call, draws, call.stack()[argument]);
  const at::Generator stand_in = stand_in_of_active(generator);
  if (stand_in.defined()) {
    call.stack()[argument] = stand_in;
    call.proceed();
  } else if (cpu_generator(generator) != nullptr) {
    DrawPath().draw(call, argument, generator);
  } else {
    call.proceed();
  }
}

}  // namespace remat::torch_bridge
