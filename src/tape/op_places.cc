#include "tape/op_places.h"

namespace remat::tape {
namespace {

/// The path without its last part; a path of one part has nothing around it.
std::string around(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

}  // namespace

OpPlaces::OpPlaces(const StepRecord& record, const ParameterNames& names)
    : record_(record), names_(names) {
  std::string last;
  for (const Op& op : record_.ops) {
    std::string module = module_of(op);
    if (!module.empty()) last = module;
    places_.push_back(module.empty() ? around(last) : std::move(module));
  }
}

std::string OpPlaces::module_of(ValueIndex value) const {
  if (value == ValueIndex::kNone) return "";
  const SlotIndex slot = record_.values[value].slot;
  const std::string* name = names_.find(record_.slots[slot].storage);
  if (name == nullptr) return "";
  // What the root itself has is as good as a module.
  return name->find('.') == std::string::npos ? *name : around(*name);
}

std::string OpPlaces::module_of(const Op& op) const {
  std::string module;
  for (std::int32_t i = op.arguments.begin; module.empty() && i < op.arguments.end; ++i) {
    module = module_of(record_.arguments[i].value);
  }
  return module;
}

std::string OpPlaces::of(const Moment& moment) const {
  if (moment.op != OpIndex::kNone) return of(moment.op);
  std::string place;
  for (std::int32_t i = moment.asked.begin; i < moment.asked.end; ++i) {
    std::string module = module_of(record_.asked[i]);
    if (!module.empty()) return module;
    const OpIndex maker = record_.values[record_.asked[i]].maker;
    if (place.empty() && maker != OpIndex::kNone) place = of(maker);
  }
  return place;
}

std::string OpPlaces::name_of(ValueIndex value) const {
  const auto given = record_.names.find(value);
  if (given == record_.names.end()) return "";
  const OpIndex maker = record_.values[value].maker;
  const bool is_path = given->second.find('.') != std::string::npos;
  if (is_path || maker == OpIndex::kNone || of(maker).empty()) return given->second;
  return of(maker) + "." + given->second;
}

}  // namespace remat::tape
