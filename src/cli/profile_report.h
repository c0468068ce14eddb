// What `remat profile` prints.
#pragma once

#include <string>

#include "cli/profile.h"

namespace remat::cli {

std::string json_report(const ProfiledStep& step);
std::string text_report(const ProfiledStep& step, const ProfileOptions& options);

}  // namespace remat::cli
