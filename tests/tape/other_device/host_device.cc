#include "tests/tape/other_device/host_device.h"

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/ops/as_strided_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/torch.h>

#include "tests/testing/torch_versions.h"

#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)
#include <ATen/DeviceAccelerator.h>
#endif

namespace remat::testing {
namespace {

constexpr auto kKind = c10::DeviceType::PrivateUse1;

// ---- streams --------------------------------------------------------------------------------------------

thread_local c10::StreamId current_stream = 0;

std::atomic<std::int64_t> waits{0}, blocks{0}, handed_over{0};

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kKind; }
  c10::Device exchangeDevice(c10::Device /*device*/) const override { return kHostDevice; }
  c10::Device getDevice() const override { return kHostDevice; }
  void setDevice(c10::Device /*device*/) const override {}
  void uncheckedSetDevice(c10::Device /*device*/) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::UNSAFE, device, current_stream);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override {
    const c10::Stream before = getStream(kHostDevice);
    current_stream = stream.id();
    return before;
  }
  void synchronizeStream(const c10::Stream& /*stream*/) const override { ++waits; }
  void record(void** /*event*/, const c10::Stream& /*stream*/, const c10::DeviceIndex /*device*/,
              const c10::EventFlag /*flag*/) const override {}
  void block(void* /*event*/, const c10::Stream& /*stream*/) const override { ++blocks; }
  bool queryEvent(void* /*event*/) const override { return true; }
  void destroyEvent(void* /*event*/, const c10::DeviceIndex /*device*/) const noexcept override {}
  void recordDataPtrOnStream(const c10::DataPtr& /*data*/,
                             const c10::Stream& /*stream*/) const override {
    ++handed_over;
  }
};

// ---- memory ---------------------------------------------------------------------------------------------

class HostAllocator final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(std::size_t bytes) override { return make(bytes); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
#else
  c10::DataPtr allocate(std::size_t bytes) const override { return make(bytes); }
#endif

 private:
  static c10::DataPtr make(std::size_t bytes) {
    if (bytes == 0) return {nullptr, kHostDevice};
    auto* const data = new char[bytes];
    return {data, data, [](void* gone) { delete[] static_cast<char*>(gone); }, kHostDevice};
  }
};

struct Registered {
  Registered() {
    static Guard guard;
    static HostAllocator allocator;
    c10::impl::device_guard_impl_registry[static_cast<std::size_t>(kKind)].store(&guard);
    c10::SetAllocator(kKind, &allocator);
  }
};
const Registered registered;

// ---- operators ------------------------------------------------------------------------------------------

std::mutex mutex;
std::map<c10::StreamId, std::int64_t> operators;

c10::DispatchKeySet keys() { return c10::DispatchKeySet(c10::DispatchKey::PrivateUse1); }

at::Tensor empty(at::IntArrayRef sizes, c10::optional<at::ScalarType> dtype,
                 c10::optional<at::Layout> /*layout*/, c10::optional<at::Device> /*device*/,
                 c10::optional<bool> /*pin_memory*/, c10::optional<at::MemoryFormat> format) {
  return at::Tensor(at::detail::empty_generic(sizes, c10::GetAllocator(kKind), keys(),
                                              c10::dtype_or_default(dtype), format));
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         c10::optional<at::ScalarType> dtype, c10::optional<at::Layout> /*layout*/,
                         c10::optional<at::Device> /*device*/, c10::optional<bool> /*pin_memory*/) {
  return at::Tensor(at::detail::empty_strided_generic(sizes, strides, c10::GetAllocator(kKind),
                                                      keys(), c10::dtype_or_default(dtype)));
}

/// The same memory, as the CPU's.
at::Tensor on_host(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() != kKind) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                       at::TensorOptions(tensor.scalar_type()));
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& to, bool /*non_blocking*/) {
  on_host(to).copy_(on_host(self));
  return to;
}

at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef sizes, at::IntArrayRef strides,
                      c10::optional<std::int64_t> offset) {
  return at::native::as_strided_tensorimpl(self, sizes, strides, offset);
}

at::Tensor view(const at::Tensor& self, at::IntArrayRef sizes) {
  return at::native::view(self, sizes);
}

at::Tensor reshape_alias(const at::Tensor& self, at::IntArrayRef sizes, at::IntArrayRef strides) {
  return at::native::as_strided_tensorimpl(self, sizes, strides, c10::nullopt);
}

/// A result: one of the arguments, or new.
at::Tensor on_device(const at::Tensor& result, at::ArrayRef<at::Tensor> arguments) {
  for (const at::Tensor& argument : arguments) {
    if (result.defined() && argument.defined() && argument.data_ptr() == result.data_ptr() &&
        argument.numel() > 0) {
      return argument;
    }
  }
  if (!result.defined()) return result;
  at::Tensor made = at::empty_strided(result.sizes(), result.strides(),
                                      at::TensorOptions(result.scalar_type()).device(kHostDevice));
  on_host(made).copy_(result);
  return made;
}

/// Every other operator: LibTorch's for the CPU.
void compute_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    ++operators[current_stream];
  }
  c10::SmallVector<at::Tensor, 8> arguments;
  const std::size_t first = stack->size() - op.schema().arguments().size();
  for (std::size_t i = first; i < stack->size(); ++i) {
    c10::IValue& value = (*stack)[i];
    if (value.isTensor()) {
      arguments.push_back(value.toTensor());
      value = on_host(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list = value.toTensorVector();
      arguments.append(list.begin(), list.end());
      for (at::Tensor& tensor : list) tensor = on_host(tensor);
      value = c10::IValue(std::move(list));
    } else if (value.isDevice()) {
      value = c10::Device(c10::kCPU);
    }
  }
  op.callBoxed(*stack);
  for (std::size_t i = first; i < stack->size(); ++i) {
    c10::IValue& value = (*stack)[i];
    if (value.isTensor()) value = on_device(value.toTensor(), arguments);
  }
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute_on_host>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("as_strided", as_strided);
  library.impl("view", view);
  library.impl("_reshape_alias", reshape_alias);
  library.impl("_copy_from", copy_from);
}

}  // namespace

bool has_another_accelerator() {
#if REMAT_TESTING_TORCH_AT_LEAST(2, 11)
  return at::getAccelerator().has_value();
#else
  return false;
#endif
}

StreamCounts stream_counts() { return {waits, blocks, handed_over}; }

OnHostStream::OnHostStream(c10::StreamId id) : before_(current_stream) { current_stream = id; }
OnHostStream::~OnHostStream() { current_stream = before_; }

std::int64_t operators_on_stream(c10::StreamId id) {
  const std::lock_guard<std::mutex> lock(mutex);
  return std::exchange(operators[id], 0);
}

}  // namespace remat::testing
