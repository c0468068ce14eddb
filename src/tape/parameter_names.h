// Which storages hold a module's parameters and buffers, and what they are called in it.
#pragma once

#include <string>
#include <unordered_map>

#include <c10/core/Storage.h>
#include <c10/util/intrusive_ptr.h>

namespace torch::nn {
class Module;
}

namespace remat::tape {

class ParameterNames {
 public:
  /// Those of `root` and of all below it; what is shared has its first name. What was added before and is
  /// not in `root` keeps its name.
  void add(const torch::nn::Module& root);

  /// "blocks.3.mlp_in.weight"; nullptr where it is none's storage. `storage` is only compared.
  const std::string* find(const c10::StorageImpl* storage) const;

 private:
  struct Named {
    c10::weak_intrusive_ptr<c10::StorageImpl> address;  // keeps it from being used again
    std::string name;
  };
  std::unordered_map<const c10::StorageImpl*, Named> names_;
};

}  // namespace remat::tape
