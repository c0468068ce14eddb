#include "torch_bridge/python_process.h"

#include <atomic>
#include <dlfcn.h>
#include <link.h>

namespace remat::torch_bridge {
namespace {

/// A function of the interpreter, which remat is not linked with; nullptr if there is none.
template <class Function>
Function* python_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

/// How many libraries have been loaded since the process began.
unsigned long long libraries_loaded() {
  unsigned long long count = 0;
  const auto read = [](dl_phdr_info* info, std::size_t, void* out) {
    *static_cast<unsigned long long*>(out) = info->dlpi_adds;
    return 1;  // every entry has the same
  };
  dl_iterate_phdr(read, &count);
  return count;
}

}  // namespace

bool python_is_loaded() {
  // A search that fails goes through all libraries, and need not be repeated before there is another one.
  static std::atomic<unsigned long long> searched_in_vain{0};
  const unsigned long long libraries = libraries_loaded();
  if (searched_in_vain.load(std::memory_order_relaxed) == libraries) {
    return false;
  }
  const bool found = python_function<int()>("Py_IsInitialized") != nullptr;
  if (!found) {
    searched_in_vain.store(libraries, std::memory_order_relaxed);
  }
  return found;
}

void clear_python_error() {
  if (!python_is_loaded() || python_function<int()>("Py_IsInitialized")() == 0) {
    return;
  }
  // Stable ABI since Python 3.2. The state is an enumeration of int size.
  auto* const lock = python_function<int()>("PyGILState_Ensure");
  auto* const clear = python_function<void()>("PyErr_Clear");
  auto* const unlock = python_function<void(int)>("PyGILState_Release");
  const int state = lock();
  clear();
  unlock(state);
}

}  // namespace remat::torch_bridge
