// Arguments of operators that are no tensors.
#pragma once

#include <ATen/core/ivalue.h>

namespace remat::tape {

/// `argument` without its tensors: nothing, or a list of undefined ones.
c10::IValue without_tensors(const c10::IValue& argument);

/// Whether without_tensors(argument) is `constant`, as far as that can be told at a glance.
bool is_constant(const c10::IValue& constant, const c10::IValue& argument);

/// Whether it keeps something alive that others have, too: a generator, an object.
bool refers_to_others(const c10::IValue& constant);

}  // namespace remat::tape
