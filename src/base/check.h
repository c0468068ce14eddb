// How remat reports what is wrong: REMAT_CHECK and fail() for what the caller can act on,
// REMAT_ASSERT for what only remat's authors can. All of them throw; nothing here prints or aborts.
//
// LibTorch's own macros do not serve: TORCH_CHECK_WITH throws c10 types only, and
// TORCH_INTERNAL_ASSERT asks the user to report the bug to PyTorch. REMAT_CHECK is a macro so that
// the arguments of its message are evaluated only when the check fails: it may stand on hot paths.
#pragma once

#include <utility>

#include <fmt/format.h>

#include <remat/error.h>

namespace remat {

/// Throws `ErrorType` with a message that fmt formats: `fail<CheckpointError>("saved {}", n)`.
///
/// A message says the operation, what is wrong, what was expected, what was found and what to do.
template <class ErrorType, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw ErrorType(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error: a bug in remat. Called by REMAT_ASSERT only.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace remat

/// Throws `ErrorType`, one of remat/error.h, unless `condition` holds. The rest is the message: a
/// format string and its arguments, evaluated only on failure.
#define REMAT_CHECK(condition, ErrorType, ...) \
  do {                                         \
    if (!(condition)) {                        \
      ::remat::fail<ErrorType>(__VA_ARGS__);   \
    }                                          \
  } while (false)

/// Throws Error unless `condition`, which remat itself is to keep true, holds. On in every build.
#define REMAT_ASSERT(condition)                                  \
  do {                                                           \
    if (!(condition)) {                                          \
      ::remat::assertion_failed(#condition, __FILE__, __LINE__); \
    }                                                            \
  } while (false)
