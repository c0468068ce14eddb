// Where in the model the pieces of a step are, as people call it.
#pragma once

#include <string>
#include <vector>

#include "tape/parameter_names.h"
#include "tape/records.h"

namespace remat::tape {

/// Paths of modules, as "blocks.3.attention.qkv".
///
/// An operator that reads a parameter or a buffer belongs to the module that has it; one that reads none, to
/// the module around that of the last one before it that did: between the linear layers of attention, to
/// attention. What autograd runs belongs to where the values were made that it asks for, or to the module
/// whose parameters it asks for.
class OpPlaces {
 public:
  OpPlaces(const StepRecord& record, const ParameterNames& names);

  /// Empty where it is not known.
  const std::string& of(OpIndex op) const { return places_[at_place(op)]; }
  std::string of(const Moment& moment) const;

  /// The name that the user gave a value, in its place; empty if none was given. A name with a dot is a path
  /// of its own.
  std::string name_of(ValueIndex value) const;

 private:
  /// Of the module that has the storage of `value`; empty if none has.
  std::string module_of(ValueIndex value) const;
  std::string module_of(const Op& op) const;

  const StepRecord& record_;
  const ParameterNames& names_;
  std::vector<std::string> places_;
};

}  // namespace remat::tape
