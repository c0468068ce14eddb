// What tests need that LibTorch 1.13 and 2.x spell differently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#define REMAT_TESTING_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) ||                \
   (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace remat::testing {

/// torch.autocast("cpu", dtype) as a scope.
class CpuAutocast {
 public:
  explicit CpuAutocast(at::ScalarType dtype = at::kBFloat16)
      : was_enabled_(enabled()), outer_dtype_(this->dtype()) {
    set(true, dtype);
    at::autocast::increment_nesting();
  }
  ~CpuAutocast() {
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    set(was_enabled_, outer_dtype_);
  }
  CpuAutocast(const CpuAutocast&) = delete;
  CpuAutocast& operator=(const CpuAutocast&) = delete;

#if REMAT_TESTING_TORCH_AT_LEAST(2, 4)
  static bool enabled() { return at::autocast::is_autocast_enabled(at::kCPU); }
  static at::ScalarType dtype() { return at::autocast::get_autocast_dtype(at::kCPU); }

 private:
  static void set(bool enabled, at::ScalarType dtype) {
    at::autocast::set_autocast_enabled(at::kCPU, enabled);
    at::autocast::set_autocast_dtype(at::kCPU, dtype);
  }
#else
  static bool enabled() { return at::autocast::is_cpu_enabled(); }
  static at::ScalarType dtype() { return at::autocast::get_autocast_cpu_dtype(); }

 private:
  static void set(bool enabled, at::ScalarType dtype) {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(dtype);
  }
#endif

  bool was_enabled_;
  at::ScalarType outer_dtype_;
};

/// Someone else's use of LibTorch's memory reporting, as a profiler would make.
class ForeignMemoryReporter : public c10::MemoryReportingInfoBase {
 public:
#if REMAT_TESTING_TORCH_AT_LEAST(2, 0)
  using Total = std::size_t;
#else
  using Total = std::int64_t;
#endif
  void reportMemoryUsage(void*, std::int64_t, Total, Total, c10::Device) override {}
  bool memoryProfilingEnabled() const override { return true; }
};

/// Collects LibTorch's warnings of this thread while it lives.
class Warnings : private c10::WarningHandler {
 public:
  Warnings() : guard_(this) {}

  /// All of them, a line each.
  const std::string& text() const { return text_; }

 private:
#if REMAT_TESTING_TORCH_AT_LEAST(2, 0)
  using Guard = c10::WarningUtils::WarningHandlerGuard;
  void process(const c10::Warning& warning) override { text_ += warning.msg() + "\n"; }
#else
  using Guard = c10::Warning::WarningHandlerGuard;
  void process(const c10::SourceLocation&, const std::string& message, bool) override {
    text_ += message + "\n";
  }
#endif

  std::string text_;
  Guard guard_;
};

}  // namespace remat::testing
