// What the planners read and write: the operators of one training step, a chain of stages, and the
// plans made for them. Plain data, as in the files (docs/formats.md). Needs no LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <remat/bytes.h>

namespace remat {

/// How a value or an operator is named in a file. Any number of 0 or more; need not be dense.
enum class ValueId : std::int64_t {};
enum class OpId : std::int64_t {};

/// The content of one storage at one version.
struct GraphValue {
  ValueId id{};
  Bytes bytes;
  /// Something outside the plan keeps it until this operator has run for the first time: an earlier
  /// drop takes effect then.
  std::optional<OpId> held_until;
  // For people to read: no planner looks at these.
  std::string name = {};   ///< "blocks.3.attention.softmax"; empty: it has none
  std::string dtype = {};  ///< of the tensor that came with it: "Float"; empty: not known
  std::optional<std::vector<std::int64_t>> shape = {};  ///< of that tensor
};

/// In-place: on its first run the operator gives the storage of `read` to `written`.
struct StorageReuse {
  ValueId read{};
  ValueId written{};
};

enum class Phase { kForward, kBackward };

/// Whether an operator may run again: kRng needs the state of the generator restored, and costs the
/// planner nothing extra.
enum class Recompute { kPure, kRng, kNever };

struct GraphOp {
  OpId id{};
  std::string
      name;  ///< "aten::addmm", or with its place in the model: "blocks.3.mlp_in: aten::addmm"
  Phase phase = Phase::kForward;
  std::chrono::nanoseconds time{0};
  std::optional<std::chrono::nanoseconds> recompute_time;  ///< of later runs; `time` where absent
  Bytes workspace;  ///< transient, on top of what it reads and writes
  std::vector<ValueId> reads;
  std::vector<ValueId> writes;
  std::vector<StorageReuse> reuses;
  Recompute recompute = Recompute::kPure;
};

/// One training step, operator by operator, in the order of execution.
struct OpGraph {
  std::string name;
  std::string device;
  Bytes fixed;  ///< never planned: parameters, their gradients, optimizer state, inputs
  std::vector<GraphValue> values;
  std::vector<GraphOp> ops;
};

struct RunOp {
  OpId op{};
  friend bool operator==(RunOp a, RunOp b) { return a.op == b.op; }
};
struct DropValue {
  ValueId value{};
  friend bool operator==(DropValue a, DropValue b) { return a.value == b.value; }
};
using PlanAction = std::variant<RunOp, DropValue>;

/// What to run and when to let go.
struct Plan {
  std::string graph;  ///< the name of the graph it was made for
  Bytes budget;
  std::vector<PlanAction> actions;
  Bytes predicted_peak;
  std::chrono::nanoseconds predicted_time{0};
  std::chrono::nanoseconds plain_time{0};
  std::chrono::nanoseconds lower_bound_time{0};
  std::string planner;      ///< "graph", "chain", ...; empty where the file does not say
  std::int64_t effort = 0;  ///< operators simulated at most; 0 where the file does not say
  std::string stopped_by;   ///< "effort", "time", "optimal", ...; empty where the file does not say
};

/// One way to run a stage so that its backward can follow.
struct StageOption {
  std::string name;
  Bytes saved;  ///< all that backward needs, the stage's output included
  std::chrono::nanoseconds forward_time{0};
  Bytes forward_workspace;
  std::chrono::nanoseconds backward_time{0};
  Bytes backward_workspace;
};

struct Stage {
  std::string name;
  Bytes output;
  std::optional<Bytes> output_gradient;      ///< `output` where absent
  std::chrono::nanoseconds forward_time{0};  ///< of the forward that saves nothing
  Bytes forward_workspace;
  std::vector<StageOption> options;  ///< at least one
};

/// Stages in a row, the loss last. Activation i is the input of stage i.
struct Chain {
  std::string name;
  std::string device;
  Bytes fixed;
  Bytes input;
  Bytes input_gradient;  ///< 0 where the chain's input needs no gradient
  std::vector<Stage> stages;
};

/// Runs a stage saving nothing and keeps its input.
struct CheckpointStage {
  std::int64_t stage = 0;
};
/// Runs a stage saving nothing and frees its input, unless that lives inside a saved stage.
struct PassStage {
  std::int64_t stage = 0;
};
/// Runs a stage keeping what `option` saves, and its input.
struct SaveStage {
  std::int64_t stage = 0;
  std::int64_t option = 0;
};
/// Runs the backward of a stage, the last one first.
struct BackwardStage {
  std::int64_t stage = 0;
};
using ChainAction = std::variant<CheckpointStage, PassStage, SaveStage, BackwardStage>;

struct ChainPlan {
  std::string chain;  ///< the name of the chain it was made for
  Bytes budget;
  std::vector<ChainAction> actions;
  Bytes predicted_peak;
  std::chrono::nanoseconds predicted_time{0};
  std::string planner;  ///< empty where the file does not say
};

/// Readers and writers of the formats remat.opgraph/1, remat.plan/1, remat.chain/1 and
/// remat.chain_plan/1: JSON, sizes in bytes, times in nanoseconds.
///
/// `source` is what messages call the text: the path of the file it comes from.
/// Errors: InvalidArgument that names source, key and value: not JSON, another format or version, a
///         missing or repeated key, a size or time that is negative, not whole or not below 2^63, an
///         id that names nothing, a value written twice, operators that read what is written later.
///         Keys that the format does not know are passed over.
/// Source: docs/formats.md
OpGraph read_op_graph(const std::string& json, const std::string& source);
Plan read_plan(const std::string& json, const std::string& source);
Chain read_chain(const std::string& json, const std::string& source);
ChainPlan read_chain_plan(const std::string& json, const std::string& source);

std::string to_json(const OpGraph& graph);
std::string to_json(const Plan& plan);
std::string to_json(const Chain& chain);
std::string to_json(const ChainPlan& plan);

}  // namespace remat
