// How a checkpointed call is made, kept and made again: the part of remat::checkpoint that depends on
// the types of the callable and its arguments. Included by checkpoint.h; not for direct use.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

namespace c10 {
struct IValue;
}
namespace torch::nn {
class AnyModule;
template <typename Contained>
class ModuleHolder;
}  // namespace torch::nn

namespace remat {
struct CheckpointOptions;
}

namespace remat::detail {

template <class T>
using bare_t = std::remove_cv_t<std::remove_reference_t<T>>;

// ---- calling: a callable by itself, a module by its forward --------------------------------------

template <class T>
std::true_type holds_module(const torch::nn::ModuleHolder<T>*);  // and what derives from it
std::false_type holds_module(...);

template <class T>
struct is_shared_ptr : std::false_type {};
template <class T>
struct is_shared_ptr<std::shared_ptr<T>> : std::true_type {};

template <class F>
inline constexpr bool is_module_pointer_v =
    decltype(holds_module(static_cast<bare_t<F>*>(nullptr)))::value ||
    is_shared_ptr<bare_t<F>>::value;
template <class F>
inline constexpr bool is_any_module_v = std::is_same_v<bare_t<F>, torch::nn::AnyModule>;

// A const holder gives access to a const module only, and forward is not const by custom.
template <class F>
std::remove_const_t<F>& without_const(F& fn) {
  return const_cast<std::remove_const_t<F>&>(fn);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

template <class F, class... Args>
auto call(F& fn, Args&&... args)
    -> std::enable_if_t<is_module_pointer_v<F>,
                        decltype(without_const(fn)->forward(std::forward<Args>(args)...))> {
  return without_const(fn)->forward(std::forward<Args>(args)...);
}
template <class F, class... Args>
auto call(F& fn, Args&&... args)
    -> std::enable_if_t<is_any_module_v<F>,
                        decltype(without_const(fn).forward(std::forward<Args>(args)...))> {
  return without_const(fn).forward(std::forward<Args>(args)...);
}
template <class F, class... Args>
auto call(F& fn, Args&&... args) -> std::enable_if_t<!is_module_pointer_v<F> && !is_any_module_v<F>,
                                                     std::invoke_result_t<F&, Args...>> {
  return std::invoke(fn, std::forward<Args>(args)...);
}

template <class Void, class F, class... Args>
struct is_callable : std::false_type {};
template <class F, class... Args>
struct is_callable<std::void_t<decltype(call(std::declval<std::remove_reference_t<F>&>(),
                                             std::declval<Args>()...))>,
                   F, Args...> : std::true_type {};
template <class F, class... Args>
inline constexpr bool is_callable_v = is_callable<void, F, Args...>::value;

template <class F, class... Args>
using call_result_t =
    decltype(call(std::declval<std::remove_reference_t<F>&>(), std::declval<Args>()...));

// ---- finding tensors inside an argument ----------------------------------------------------------

template <class T, class = void>
struct is_optional_like : std::false_type {};
template <class T>
struct is_optional_like<
    T, std::void_t<decltype(std::declval<T&>().has_value()), decltype(*std::declval<T&>())>>
    : std::true_type {};

template <class T, class = void>
struct is_range : std::false_type {};
template <class T>
struct is_range<T, std::void_t<decltype(std::begin(std::declval<T&>())),
                               decltype(std::end(std::declval<T&>()))>>
    : std::bool_constant<std::is_lvalue_reference_v<decltype(*std::begin(std::declval<T&>()))>> {};

template <class T, class = void>
struct is_tuple_like : std::false_type {};
template <class T>
struct is_tuple_like<T, std::void_t<decltype(std::tuple_size<T>::value)>> : std::true_type {};

template <class T>
struct is_variant : std::false_type {};
template <class... Ts>
struct is_variant<std::variant<Ts...>> : std::true_type {};

/// Calls `visit(at::Tensor&)` for every tensor of `value`, in a fixed order. What is const, or of a
/// type not listed here, holds no tensor as far as this function knows. Lists and dictionaries inside an
/// IValue are shared by reference, not copied with it: they are left alone.
template <class T, class Visit>
void visit_tensors(T& value, Visit& visit) {
  if constexpr (std::is_same_v<T, at::Tensor>) {
    visit(value);
  } else if constexpr (std::is_const_v<T>) {
    return;
  } else if constexpr (std::is_same_v<T, c10::IValue>) {
    if (value.isTensor()) visit(value.toTensor());
  } else if constexpr (is_variant<T>::value) {
    std::visit([&visit](auto& alternative) { visit_tensors(alternative, visit); }, value);
  } else if constexpr (is_optional_like<T>::value) {
    if (value.has_value()) visit_tensors(*value, visit);
  } else if constexpr (is_tuple_like<T>::value) {
    std::apply([&visit](auto&... element) { (visit_tensors(element, visit), ...); }, value);
  } else if constexpr (is_range<T>::value) {
    for (auto& element : value) visit_tensors(element, visit);
  }
}

// ---- keeping arguments ---------------------------------------------------------------------------

/// The type an argument is kept as: decayed, and owning where the argument only refers.
template <class T>
struct kept {
  using type = T;
};
template <class T>
struct kept<c10::ArrayRef<T>> {
  using type = std::vector<bare_t<T>>;
};
template <>
struct kept<std::string_view> {
  using type = std::string;
};
template <class T>
using kept_t = typename kept<std::decay_t<T>>::type;

template <class T>
kept_t<T> keep(const std::remove_reference_t<T>& argument) {
  if constexpr (std::is_same_v<kept_t<T>, std::string>) {
    return std::string(argument);
  } else if constexpr (!std::is_same_v<kept_t<T>, std::decay_t<T>>) {
    return argument.vec();
  } else {
    return argument;
  }
}

/// Hands a kept argument on as the first call handed on the original: same type and value category.
template <class Arg>
decltype(auto) hand_on(kept_t<Arg>& kept) {
  if constexpr (std::is_same_v<kept_t<Arg>, bare_t<Arg>>) {
    return static_cast<Arg&&>(kept);
  } else if constexpr (std::is_array_v<bare_t<Arg>>) {
    return kept_t<Arg>(kept);
  } else {
    return bare_t<Arg>(kept);
  }
}

/// A callable and its arguments, kept so that the call can be repeated.
template <class F, class... Args>
class StoredCall {
 public:
  using Callable = std::decay_t<F>;
  static constexpr bool kCopiesCallable = std::is_copy_constructible_v<Callable>;
  static_assert(
      kCopiesCallable || !std::is_lvalue_reference_v<F>,
      "remat::checkpoint keeps a copy of its callable for recomputation: pass std::move(fn) "
      "or std::ref(fn) for one that cannot be copied");
  static_assert(
      (std::is_copy_constructible_v<kept_t<Args>> && ...),
      "remat::checkpoint keeps copies of its arguments for recomputation: capture move-only "
      "ones in the callable");

  static std::shared_ptr<StoredCall> make(F&& fn, std::remove_reference_t<Args>&... args) {
    return std::make_shared<StoredCall>(Private(), fn, args...);
  }

  /// The callable for the first call: the caller's own, unless it had to be moved into this object.
  auto& callable_for_forward(std::remove_reference_t<F>& fn) {
    if constexpr (kCopiesCallable) {
      return fn;
    } else {
      return callable_;
    }
  }

  /// Takes the tensors out of the kept arguments, leaving undefined ones in their places.
  std::vector<at::Tensor> take_tensors() {
    std::vector<at::Tensor> tensors;
    auto take = [&tensors](at::Tensor& tensor) { tensors.push_back(std::exchange(tensor, {})); };
    visit_tensors(arguments_, take);
    return tensors;
  }

  /// Repeats the call on fresh copies, with `tensors` put back, and discards what it returns.
  void call_again(const std::vector<at::Tensor>& tensors) {
    auto arguments = arguments_;
    auto next = tensors.begin();
    auto put_back = [&next](at::Tensor& tensor) { tensor = *next++; };
    visit_tensors(arguments, put_back);
    if constexpr (kCopiesCallable) {
      Callable callable(callable_);
      call_with(callable, arguments, std::index_sequence_for<Args...>());
    } else {
      call_with(callable_, arguments, std::index_sequence_for<Args...>());
    }
  }

 private:
  struct Private {};
  using Arguments = std::tuple<kept_t<Args>...>;

  template <std::size_t... I>
  static void call_with(Callable& callable, Arguments& arguments, std::index_sequence<I...>) {
    static_cast<void>(call(callable, hand_on<Args>(std::get<I>(arguments))...));
    static_cast<void>(arguments);
  }

  static auto&& copy_or_move(std::remove_reference_t<F>& fn) {
    if constexpr (kCopiesCallable) {
      return fn;
    } else {
      return std::move(fn);
    }
  }

 public:
  StoredCall(Private, std::remove_reference_t<F>& fn, std::remove_reference_t<Args>&... args)
      : callable_(copy_or_move(fn)), arguments_(keep<Args>(args)...) {}

 private:
  Callable callable_;
  Arguments arguments_;
};

// ---- the region ----------------------------------------------------------------------------------

/// The forward of one region on this thread: from construction to finish(), or to destruction when
/// the callable throws.
class RegionForward {
 public:
  using Recompute = std::function<void(const std::vector<at::Tensor>& inputs)>;

  RegionForward(const CheckpointOptions& options, std::vector<at::Tensor> inputs,
                Recompute recompute);
  ~RegionForward();
  RegionForward(const RegionForward&) = delete;
  RegionForward& operator=(const RegionForward&) = delete;

  void finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace remat::detail
