#include "torch_bridge/repeated_call.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/GradMode.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
namespace {

const c10::DispatchKeySet kAutocastKeys =
    c10::DispatchKeySet({c10::DispatchKey::AutocastCPU, c10::DispatchKey::AutocastCUDA});

/// While it lives, the CPU's default generator goes on from `state`; then from where it was.
class DefaultGeneratorAt {
 public:
  explicit DefaultGeneratorAt(const CpuRngState& state)
      : generator_(*cpu_generator(at::detail::getDefaultCPUGenerator())),
        before_(CpuRngState::of(generator_)) {
    state.put_into(generator_);
  }
  ~DefaultGeneratorAt() { before_.put_into(generator_); }
  DefaultGeneratorAt(const DefaultGeneratorAt&) = delete;
  DefaultGeneratorAt& operator=(const DefaultGeneratorAt&) = delete;

 private:
  at::CPUGeneratorImpl& generator_;
  CpuRngState before_;
};

/// While it lives, operators of this thread compute with `count` threads.
class IntraOpThreads {
 public:
  explicit IntraOpThreads(int count) : before_(at::get_num_threads()), count_(count) {
    if (count_ != before_) at::set_num_threads(count_);
  }
  ~IntraOpThreads() {
    if (count_ != before_) at::set_num_threads(before_);
  }
  IntraOpThreads(const IntraOpThreads&) = delete;
  IntraOpThreads& operator=(const IntraOpThreads&) = delete;

 private:
  int before_, count_;
};

}  // namespace

CallState CallState::current() { return {c10::GradMode::is_enabled(), at::get_num_threads()}; }

at::Generator cpu_generator_of_call(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments) {
  if (!draws_can_be_repeated(traits, arguments)) return {};
  if (traits.draws.generator < 0) return at::detail::getDefaultCPUGenerator();
  const c10::IValue& given = arguments[traits.draws.generator];
  return given.isNone() ? at::detail::getDefaultCPUGenerator() : given.toGenerator();
}

bool draws_can_be_repeated(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments) {
  if (traits.draws.generator < 0) {
    return traits.draws.tagged && device_of_draws(traits.draws, arguments).is_cpu();
  }
  const c10::IValue& given = arguments[traits.draws.generator];
  if (given.isNone()) return device_of_draws(traits.draws, arguments).is_cpu();
  return cpu_generator(given.toGenerator()) != nullptr;
}

// Of list iterators and pointers in LibTorch's headers, inlined.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnull-dereference"

void put_tensor(c10::IValue& place, std::int32_t element, at::Tensor tensor) {
  if (element < 0) {
    place = std::move(tensor);
  } else {
    place.toList().set(static_cast<std::size_t>(element), std::move(tensor));
  }
}

void call_again(const OpTraits& traits, torch::jit::Stack& stack, const CallState& state,
                const CpuRngState* draws_from) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(kAutocastKeys);
  const c10::AutoGradMode mode(state.grad_mode);
  const IntraOpThreads threads(state.threads);
  std::optional<DefaultGeneratorAt> default_generator;
  if (draws_from != nullptr && traits.draws.generator < 0) {
    default_generator.emplace(*draws_from);
  } else if (draws_from != nullptr) {
    auto stand_in = at::make_generator<at::CPUGeneratorImpl>();
    draws_from->put_into(*cpu_generator(stand_in));
    stack[stack.size() - traits.argument_count() + traits.draws.generator] = std::move(stand_in);
  }
  // A boxed out= operator with several results returns references into its arguments: while the stack is
  // their only owner they dangle (tape.md, F11).
  const torch::jit::Stack owners = stack;
  traits.handle.callBoxed(stack);
}

#pragma GCC diagnostic pop

}  // namespace remat::torch_bridge
