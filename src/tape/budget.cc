#include <mutex>
#include <set>
#include <string>
#include <utility>

#include <remat/budget.h>

#include "base/check.h"
#include "tape/budget_impl.h"
#include "torch_bridge/device_ledger.h"

namespace remat {
namespace {

/// The devices that have a budget.
class BudgetedDevices {
 public:
  /// False if it has one already.
  bool add(c10::Device device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return names_.insert(device.str()).second;
  }
  void remove(c10::Device device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    names_.erase(device.str());
  }

 private:
  std::mutex mutex_;
  std::set<std::string> names_;
};

BudgetedDevices& budgeted_devices() {
  static BudgetedDevices devices;
  return devices;
}

}  // namespace

Budget::Budget(BudgetOptions options) {
  REMAT_CHECK(options.memory > Bytes(0), InvalidArgument,
              "remat::Budget: a budget is a positive number of bytes, not {}", options.memory.count());
  REMAT_CHECK(options.effort >= 0, InvalidArgument,
              "remat::Budget: effort is a number of operators, 0 or more, not {}", options.effort);
  REMAT_CHECK(options.plans > 0, InvalidArgument,
              "remat::Budget: at least one plan has to be kept, not {}", options.plans);
  options.device = torch_bridge::with_index(options.device);
  // What a step does is undone by the numbers of allocations, which the CPU's always have.
  torch_bridge::ledger_of(c10::kCPU, "remat::Budget");
  auto impl = std::make_shared<Impl>(options);
  REMAT_CHECK(budgeted_devices().add(options.device), Error,
              "remat::Budget: there is a budget for {} already. Share it between steps and threads, or destroy it "
              "first.",
              options.device.str());
  impl_ = std::move(impl);
}

Budget::~Budget() { budgeted_devices().remove(impl_->memory().device()); }

void Budget::audit_next_step() { impl_->audit_next_step(); }
void Budget::save(const std::string& path) const { impl_->save(path); }
void Budget::load(const std::string& path) { impl_->load(path); }
void Budget::name_parameters(const torch::nn::Module& root) { impl_->name_parameters(root); }
void Budget::include(Bytes bytes) { impl_->include(bytes); }

BudgetReport Budget::report() const { return impl_->report(); }
const OpGraph* Budget::graph() const { return impl_->graph(); }

}  // namespace remat
