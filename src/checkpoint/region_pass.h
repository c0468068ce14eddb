// One pass through a region's function, forward or recomputation: what both watch at every operator.
#pragma once

#include <optional>
#include <vector>

#include <remat/checkpoint.h>

#include "checkpoint/op_log.h"
#include "checkpoint/outside_tensors.h"
#include "checkpoint/saved_metadata.h"
#include "torch_bridge/byte_hash.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/random_draws.h"
#include "torch_bridge/rng_state.h"

namespace remat {

/// What a pass notes of a tensor that autograd saved.
struct SavedRecord {
  SavedMetadata metadata;
  std::optional<c10::OperatorHandle> op;  ///< that saved it, where known
  torch_bridge::Hash128 hash;             ///< of its content, under Determinism::kValues
};

/// Watches the operators of one pass: which storages are made in it, what it saves. Looks at all that
/// the region's function calls, above autograd or below (torch:: factories, inference mode), and at the
/// parts of composite operators; not at what kernels call, which make storages that no operator shows.
class RegionPass : public torch_bridge::OpInterceptor {
 public:
  /// `saves`: about how many tensors it will save.
  RegionPass(const CheckpointOptions& options, torch_bridge::OpLevel level, std::size_t saves)
      : options_(options), level_(level) {
    saved_.reserve(saves);
  }

  /// Where this pass is to be pushed. Below autograd it can neither stop early nor give operators other
  /// tensors than they asked for.
  torch_bridge::OpLevel level() const { return level_; }

  /// Notes a tensor that autograd is saving. Its content may not be final yet (Rule 8).
  void note_saved(const at::Tensor& tensor);

  /// Ends the pass: what is pending becomes final, and the storages made in it are forgotten.
  void finish();

  const std::vector<SavedRecord>& saved() const { return saved_; }
  const OpLog& ops() const { return ops_; }

  void intercept(torch_bridge::OpCall& call) final;

 protected:
  /// Called at the entry of every operator above autograd, when what the one before it saved is final.
  virtual void enter_op_above_autograd() {}

  /// Called for every operator before it runs. May change the arguments on the stack.
  virtual void before(torch_bridge::OpCall& call) = 0;

  /// Runs an operator that was looked at.
  virtual void proceed(torch_bridge::OpCall& call) { torch_bridge::proceed_with_draws(call); }

  StorageLedger& ledger() { return ledger_; }

  /// Throws Error, naming operator and argument, if this pass cannot protect an outside tensor that
  /// `call` is about to write (Rule 12).
  void check_can_protect(const torch_bridge::OpCall& call, std::size_t argument) const;

 private:
  void enter_above_autograd(const c10::OperatorHandle& op);
  void hash_unhashed();
  void note_results(torch_bridge::OpCall& call);

  const CheckpointOptions& options_;
  const torch_bridge::OpLevel level_;
  StorageLedger ledger_;
  std::vector<SavedRecord> saved_;
  OpLog ops_;
  bool inside_op_ = false;
  std::optional<c10::OperatorHandle> current_op_;
  std::vector<std::pair<std::size_t, at::Tensor>> unhashed_;  // position in saved_, alias
};

/// The forward: notes outside tensors at their first read and copies them before their first write.
class ForwardPass final : public RegionPass {
 public:
  ForwardPass(const CheckpointOptions& options, torch_bridge::OpLevel level);

  /// As RegionPass::finish; also forgets the generators that the region did not use.
  void finish();

  /// What the region drew from CPU generators. To be noted by a RecordDraws while the pass runs.
  torch_bridge::DrawRecord& draws() { return draws_; }
  /// The generators of other devices that the region uses, as they were before.
  const torch_bridge::RngSnapshot& devices_rng() const { return devices_rng_; }
  const Preimages& preimages() const { return preimages_; }
  const std::vector<OutsideRead>& reads() const { return reads_; }

 protected:
  void before(torch_bridge::OpCall& call) override;

 private:
  void note_reads(torch_bridge::OpCall& call);
  void note_device_generators(torch_bridge::OpCall& call);
  void keep_preimages(torch_bridge::OpCall& call);

  const bool preserves_rng_;
  torch_bridge::DrawRecord draws_;
  torch_bridge::RngSnapshot devices_rng_;
  Preimages preimages_;
  std::vector<OutsideRead> reads_;
};

}  // namespace remat
