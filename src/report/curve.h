// A curve drawn in characters, for people to look at on a terminal.
#pragma once

#include <string>
#include <vector>

namespace remat::report {

struct CurvePoint {
  double x = 0;
  double y = 0;
  bool marked = false;  ///< drawn as 'o' instead of '*'
};

/// What stands at the axes, units included.
struct CurveLabels {
  std::string title;  ///< above the vertical axis: what it shows
  std::string top;    ///< at the largest y
  std::string left;   ///< at the smallest x
  std::string right;  ///< at the largest x
  std::string below;  ///< under the horizontal axis: what it shows
};

/// The points as a staircase: from each one, dots go to the right until the next, at whose x the curve
/// changes. The vertical axis begins at 0.
///
/// Shapes: at most 80 columns and ASCII, if the labels are; 16 lines. `points` are in order of x, at
///         least one, with y from 0 on.
std::string curve(const std::vector<CurvePoint>& points, const CurveLabels& labels);

}  // namespace remat::report
