// Whether Python runs in this process, and what its exceptions leave behind.
// Tried with CPython 3.11 and PyTorch 1.13.1.
#pragma once

namespace remat::torch_bridge {

/// True if C++ code of this process may be called through Python code: an exception that passes there has
/// to be a std::exception, or the interpreter is left in pieces.
/// Cost: a look-up among the symbols of the process when a library was loaded since the last; else 0.1 us.
bool python_is_loaded();

/// To be called when an exception that may have passed through Python is ended here: PyTorch leaves the
/// interpreter's error indicator set until the exception is back in Python. Does nothing without Python.
void clear_python_error();

}  // namespace remat::torch_bridge
