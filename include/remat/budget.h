// Training within a number of bytes: any model, nothing annotated, the same gradients to the bit.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <remat/bytes.h>
#include <remat/error.h>
#include <remat/graph.h>

namespace torch::nn {
class Module;
}

namespace remat {

struct BudgetOptions {
  /// What the whole step may use of the device's memory as LibTorch allocates it: parameters, gradients,
  /// optimizer state, activations, workspace.
  Bytes memory;
  /// How long plans are searched for, in operators simulated; 0 means about 2 s (default_effort).
  std::int64_t effort = 0;
  /// Plans kept at a time, one for each sequence of operators and shapes that steps have had.
  std::int64_t plans = 8;
  /// The device whose memory is budgeted. What lies elsewhere is left alone.
  c10::Device device = c10::kCPU;
};

/// Values that autograd saved in a step, and the bytes of their storages.
struct ValueCount {
  std::int64_t values = 0;
  Bytes bytes;
};

/// Saved values that cannot be made again, all for one reason: they are always kept.
struct RefusedValues {
  std::string why;
  std::int64_t values = 0;
  Bytes bytes;
};

/// A plan, from when it was made until it is forgotten.
struct PlanHistory {
  std::int64_t step = 0;  ///< after which it was made; the first is 1
  std::string why;        ///< it was
  Bytes memory;           ///< for how much
  Bytes predicted_peak;
  Bytes measured_peak;        ///< of the steps that followed it to the end, at most
  std::int64_t followed = 0;  ///< by so many
};

/// What the last step did, and how that compares with what was predicted.
struct BudgetReport {
  Bytes memory;          ///< the budget
  Bytes fixed;           ///< in use when the step began
  Bytes tracked_peak;    ///< in use at most while it ran
  bool planned = false;  ///< whether it followed a plan; otherwise what is predicted is 0
  Bytes predicted_peak;
  Bytes plain_peak;  ///< of the step without a budget
  std::chrono::nanoseconds plain_time{0};
  std::chrono::nanoseconds predicted_time{0};
  std::chrono::nanoseconds lower_bound_time{0};  ///< no plan can take less within the budget
  std::chrono::nanoseconds replay_time{0};       ///< measured
  std::int64_t steps = 0;                        ///< since the budget was made
  std::int64_t operators = 0;
  /// Of those, in the forward: as the step before had them, so only compared with that; and written down anew.
  std::int64_t verified = 0, recorded = 0;
  std::int64_t replays = 0;
  std::int64_t packs =
      0;  ///< values kept packed without loss (a dropout's noise: a bit for a float)
  std::int64_t unpacks = 0;
  std::int64_t retries = 0;    ///< how often Budget::run() repeated it
  std::int64_t evictions = 0;  ///< decided when memory ran out, not by the plan
  std::int64_t plans_made = 0;
  std::vector<std::string> retried_because;  ///< the errors after which it did
  bool audited = false;                      ///< whether it looked for what cannot be made again
  /// Operators whose results are kept although operators like them can be run again, and why.
  std::vector<std::string> pinned;

  // What became of what autograd saved, parameters and inputs of the step left out.
  ValueCount kept;                     ///< from when it was made until it was asked for
  ValueCount packed;                   ///< kept in fewer bytes
  ValueCount dropped;                  ///< and made again
  std::vector<RefusedValues> refused;  ///< the largest first

  std::vector<PlanHistory> plans;  ///< the latest last; those of the last hundred that were made

  // Above what was in use when the budget was made, at most.
  Bytes tracked_growth;  ///< as LibTorch's allocator counts
  std::optional<Bytes>
      resident_growth;  ///< as the operating system does; not known if there was more before

  // Time above the plain step's; 0 where no plan was followed. Measured is the time of all that was made again.
  double predicted_overhead_percent() const;
  double measured_overhead_percent() const;
  double lower_bound_overhead_percent() const;
};

/// For people: lines of at most 80 columns, unless an operator's name makes one longer.
std::string to_string(const BudgetReport& report);
std::ostream& operator<<(std::ostream& stream, const BudgetReport& report);

/// One object, on one line.
/// Source: docs/budget.md
std::string to_json(const BudgetReport& report);

/// How many bytes of a device training may use, and the plans for it. One for each device and process: a second one
/// is an error.
///
///     remat::Budget budget({.memory = remat::Bytes::parse("2GiB")});
///     for (auto& batch : data) {
///       remat::Step step(budget);
///       loss(model, batch).backward();
///       optimizer.step();
///     }
///
/// The first steps are recorded and kept within the budget by letting go of what is cheapest to make again;
/// then a plan is searched for the recorded step, between two steps, and the steps after it follow it. A step
/// of other shapes or other control flow is told apart by its operators, and gets a plan of its own.
///
/// Until a plan has been followed once, steps are audited: every value is hashed when it is made, and compared
/// when it is read and when it is made again. What was written through a pointer, or came out with other bits,
/// is kept from then on; of the latter, the step throws Error before a gradient is formed.
///
/// Making a budget installs an allocator that counts what LibTorch's own hands out (memory.h); call
/// use_huge_page_allocator() before, if you want that. Tensors from before count as soon as a step meets them:
/// reads them in its forward, or overwrites them.
///
/// On a device, what was let go of is made again on the stream on which the step began; what operators on other
/// streams make is kept. Times are measured by waiting for the device after each operator, in the steps that are
/// audited. Values are packed on the CPU only. CUDA needs LibTorch 2.11.
/// Errors:   InvalidArgument for options that cannot be; Error if another allocator has been installed, there is a
///           budget for the device already, or its memory cannot be counted.
/// Threads:  any, at the same time: they share the bytes, and steps let go of values for each other. A step is
///           planned for only if no other ran beside it: let steps of each kind run alone three times first. Steps
///           that run beside others follow the plans that there are.
/// Lifetime: a step, and tensors saved in it, may outlive the budget.
/// Cost:     0.35 to 0.63 us for each operator of a step (docs/benchmarks.md); several while steps are audited.
class Budget {
 public:
  explicit Budget(BudgetOptions options);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Calls `step`, forward and backward, in a Step. If memory runs out, or an operator turns out not to give the
  /// same bits again, what it did is undone and `step` is called again, once for each: with the same random
  /// numbers, and with less kept than before. BudgetReport::retries says how often.
  /// What it throws last leaves. It is not repeated once an optimizer has run in it, nor after other changes
  /// that Step does not undo.
  void run(const std::function<void()>& step);

  /// Counts more bytes against the budget, from the next step on: of memory that neither the allocator has handed
  /// out since the first budget nor steps meet.
  void include(Bytes bytes);

  /// Has the next step look, as the first ones do, for memory that is written through pointers and for
  /// operators that do not give the same bits again.
  /// Cost: every value is hashed when it is made, when it is read and when it is made again.
  void audit_next_step();

  /// From the next step on, operators in graph() are called by where in `root` the parameters and buffers are
  /// that they read: "blocks.3.mlp_in: aten::addmm". Once is enough, unless parameters get other storages
  /// (set_data, to()). What of them is from before the first budget counts from now on, with the gradients that there
  /// are, and not only when a step meets it.
  void name_parameters(const torch::nn::Module& root);

  /// Writes the plans to a file, and what steps have shown that cannot be made again; a plan that is due is made
  /// before. The file is replaced as a whole or not at all.
  /// Errors: Error that says why it cannot be written.
  /// Source: docs/formats.md
  void save(const std::string& path) const;

  /// Takes over what save() wrote: steps that begin like those of a plan follow it from the first one on, if it was
  /// made for as much memory, give or take a 64th, and what is in use leaves room for it. Plans that were loaded
  /// are proven like others. To be called before the first step.
  /// Errors: InvalidArgument that says what is wrong with the file: not to be read, not whole, of another format
  ///         or LibTorch; Error if steps have been taken.
  void load(const std::string& path);

  /// Of the last step that has ended.
  BudgetReport report() const;

  /// The last recorded step as the planners read it (`remat plan`); nullptr if none was recorded yet.
  /// Valid until the next step ends.
  const OpGraph* graph() const;

 private:
  friend class Step;
  class Impl;
  std::shared_ptr<Impl> impl_;
};

/// The scope of one training step on this thread: forward, backward, optimizer.
///
/// Saved tensors that it let go of are made again when autograd asks for them, in it or after it.
/// When memory runs out, BudgetError comes out of the operator that does not fit, and the step is over. ~Step
/// then puts back what forward and backward have changed: generators, buffers, gradients that were there
/// before; those that were not are undefined again. So the step can be repeated, with a smaller batch or a
/// larger budget. Once the optimizer has begun, what came before it stays. Nothing is put back if the error is
/// caught in the step and the forward goes on.
///
/// Errors: Error from the constructor where operators cannot be intercepted. BudgetError out of the operator that
///         does not fit, when nothing is left to let go of. Nothing is refused outside of forward and backward, under
///         NoGrad (optimizer.step(), a custom function's own forward): room is made there as long as saved tensors
///         wait for backward.
class Step {
 public:
  explicit Step(Budget& budget);
  ~Step();
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  friend class Budget;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Calls what `tensor` is now `name` in the graph of the step that is open on this thread, and the operator that
/// made it; the path of its module goes before a name without a dot (Budget::name_parameters). Returns the
/// tensor.
///
///     auto weights = remat::name(scores.softmax(-1), "weights");   // "blocks.3.attention.weights"
///
/// Cost: without a Step, next to none; in one that follows a proven plan, a lock.
at::Tensor name(const at::Tensor& tensor, std::string_view name);

}  // namespace remat
