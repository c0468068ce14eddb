#include <string>

#include <torch/version.h>

#include <remat/error.h>

#include "tape/plan_file.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/torch/targets.h"

namespace remat::fuzz {
namespace {

std::string with_version(std::string text) {
  const std::string placeholder = "@libtorch@";
  const auto place = text.find(placeholder);
  return place == std::string::npos ? text : text.replace(place, placeholder.size(), TORCH_VERSION);
}

void check(const tape::StepPlan& plan) {
  const auto events = plan.graph.signatures.size();
  const auto values = static_cast<std::size_t>(plan.graph.values);
  require(plan.has_entry.size() == events, "every event is known");
  require(plan.decides.size() == values, "every value is known");
  for (const auto& entry : plan.entries) {
    const bool is_first = entry.kind == tape::StepPlan::Kind::kFirst;
    require(entry.subject >= 0 &&
                static_cast<std::size_t>(entry.subject) < (is_first ? events : values),
            "every entry is about an event or a value");
  }
  require(plan.graph.last_asked < static_cast<std::int32_t>(events), "events are asked with");
  require(plan.plan.plain_time <= plan.plan.predicted_time, "nothing is faster than plain");
  require(plan.plan.budget <= plan.asked, "no plan is for more than was asked");
}

}  // namespace

void plans_reader(const std::uint8_t* bytes, std::size_t size) {
  const auto text = with_version(text_of(bytes, size));
  try_reading(text, tape::read_known_steps);
  try {
    const auto known = tape::read_known_steps(text, "input");
    std::size_t room = 0;
    for (const auto& plan : known.plans) {
      check(*plan);
      room += plan->decides.size();
    }
    require(room <= std::size_t{1} << 24, "a short text takes little memory");
  } catch (const InvalidArgument&) {
    // Judged above.
  }
}

}  // namespace remat::fuzz
