#include "planner_quality/published.h"

namespace remat::benchmarks {

std::vector<PublishedRow> published_rows() {
  return {
      {"resnet50_184", 5, 20.52, 10.42}, {"resnet50_184", 6, 11.46, 9.97},
      {"resnet50_184", 7, 10.07, 8.71},  {"resnet50_184", 8, 8.30, 7.76},
      {"resnet50_184", 9, 7.01, 7.01},   {"resnet50_184", 10, 6.04, 6.03},
      {"unet_11", 5, 11.16, 11.15},      {"unet_11", 6, 6.04, 6.03},
      {"unet_11", 7, 4.42, {}},          {"unet_11", 8, 3.48, {}},
      {"unet_11", 9, 2.89, {}},          {"unet_11", 10, 2.42, 2.41},
      {"vgg16_176", 7, {}, {}},          {"vgg16_176", 8, 4.16, 4.16},
      {"vgg16_176", 9, 2.35, 2.35},      {"vgg16_176", 10, 2.03, 2.03},
  };
}

}  // namespace remat::benchmarks
