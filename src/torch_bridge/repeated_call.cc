#include "torch_bridge/repeated_call.h"

#include <utility>

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/GradMode.h>

#include "torch_bridge/op_interceptor.h"

namespace remat::torch_bridge {
namespace {

const c10::DispatchKeySet kAutocastKeys =
    c10::DispatchKeySet({c10::DispatchKey::AutocastCPU, c10::DispatchKey::AutocastCUDA});

/// While it lives, `generator` goes on from `state`; then from where it was.
class GeneratorAt {
 public:
  GeneratorAt(at::Generator generator, const DrawState& state)
      : generator_(std::move(generator)), before_(DrawState::of(generator_)) {
    state.put_into(generator_);
  }
  ~GeneratorAt() { before_.put_into(generator_); }
  GeneratorAt(const GeneratorAt&) = delete;
  GeneratorAt& operator=(const GeneratorAt&) = delete;

 private:
  at::Generator generator_;
  DrawState before_;
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

at::Generator generator_of_call(const OpTraits& traits, c10::ArrayRef<c10::IValue> arguments) {
  if (!traits.draws.any()) return {};
  at::Generator generator;
  if (traits.draws.generator >= 0 && !arguments[traits.draws.generator].isNone()) {
    generator = arguments[traits.draws.generator].toGenerator();
  } else if (traits.draws.generator >= 0 || traits.draws.tagged) {
    generator = default_generator_of(device_of_draws(traits.draws, arguments));
  }
  return DrawState::is_known_of(generator) ? generator : at::Generator();
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
                const DrawState* draws_from) {
  const InterceptorPause pause;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(kAutocastKeys);
  const c10::AutoGradMode mode(state.grad_mode);
  const IntraOpThreads threads(state.threads);
  std::optional<GeneratorAt> default_generator;
  if (draws_from != nullptr) {
    const std::size_t first = stack.size() - traits.argument_count();
    const at::Generator generator =
        generator_of_call(traits, torch::jit::last(stack, traits.argument_count()));
    if (traits.draws.generator < 0) {
      default_generator.emplace(generator, *draws_from);
    } else {
      stack[first + traits.draws.generator] = draws_from->stand_in_for(generator);
    }
  }
  // A boxed out= operator with several results returns references into its arguments: while the stack is
  // their only owner they dangle (tape.md, F11).
  const torch::jit::Stack owners = stack;
  traits.handle.callBoxed(stack);
}

#pragma GCC diagnostic pop

}  // namespace remat::torch_bridge
