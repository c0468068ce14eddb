#include <remat/saved_tensor_hooks.h>

#include "torch_bridge/engine_hooks.h"
#include "torch_bridge/op_interceptor.h"
#include "torch_bridge/tensor_alias.h"

namespace remat {
namespace {

struct Functions {
  SavedTensorHooks::Pack pack;
  SavedTensorHooks::Unpack unpack;
};

class UserHooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit UserHooks(std::shared_ptr<const Functions> functions)
      : functions_(std::move(functions)) {}

  void call_pack_hook(const at::Tensor& tensor) override {
    // A region being recomputed must not stop inside an operator that is still saving (Rule 8).
    torch_bridge::InterceptorPause pause;
    packed_ = functions_->pack(tensor);
    // An output kept with its history would keep its own node, and so this object, alive for ever.
    auto* kept = std::any_cast<at::Tensor>(&packed_);
    if (kept != nullptr && kept->is_same(tensor)) {
      *kept = torch_bridge::detached_alias(tensor);
    }
  }

  at::Tensor call_unpack_hook() override { return functions_->unpack(packed_); }

 private:
  std::shared_ptr<const Functions> functions_;
  std::any packed_;
};

}  // namespace

class SavedTensorHooks::Impl final : public torch_bridge::HookProvider {
 public:
  explicit Impl(Functions functions)
      : functions_(std::make_shared<Functions>(std::move(functions))), scope_(*this) {}

  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override {
    return std::make_unique<UserHooks>(functions_);
  }

 private:
  std::shared_ptr<const Functions> functions_;
  torch_bridge::HookScope scope_;
};

SavedTensorHooks::SavedTensorHooks(Pack pack, Unpack unpack)
    : impl_(std::make_unique<Impl>(Functions{std::move(pack), std::move(unpack)})) {}

SavedTensorHooks::~SavedTensorHooks() = default;

}  // namespace remat
