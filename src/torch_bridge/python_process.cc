#include "torch_bridge/python_process.h"

#include <dlfcn.h>

namespace remat::torch_bridge {
namespace {

/// A function of the interpreter, which remat is not linked with; nullptr if there is none.
template <class Function>
Function* python_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

bool python_is_loaded() { return python_function<int()>("Py_IsInitialized") != nullptr; }

void clear_python_error() {
  auto* const is_initialized = python_function<int()>("Py_IsInitialized");
  if (is_initialized == nullptr || is_initialized() == 0) {
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
