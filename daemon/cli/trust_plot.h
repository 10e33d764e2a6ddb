// A key's level and slope over time, drawn: as text for a terminal without colours, and as an SVG
// file that needs nothing else.
// Spec:   spec/trust.md §5 (a level at an instant), §11 (what is drawn).
// Bounds: as many samples as columns. Thread: pure. Errors: none.
//         The same folds and times give the same bytes.
#ifndef AQMESH_DAEMON_CLI_TRUST_PLOT_H_
#define AQMESH_DAEMON_CLI_TRUST_PLOT_H_

#include <span>
#include <string>
#include <vector>

#include "daemon/cli/trust_view.h"

namespace aqmesh::cli {

inline constexpr size_t kPlotWidth = 80, kPlotWidthMin = 56, kPlotWidthMax = 400;
inline constexpr size_t kPlotHeight = 16, kPlotHeightMin = 9, kPlotHeightMax = 100;

// One column: the instant at its end, and what lay between it and the one before.
struct Sample {
  uint64_t at = 0;     // seconds
  bool known = false;  // something was weighed by then
  trust::Reading end;
  uint32_t level_low = 0, level_high = 0;
  int32_t slope_low = 0, slope_high = 0;
  bool against = false;  // something counted against it
};
// `count` >= 2 instants from `from` to `to`, both included; of `folds`, oldest first.
std::vector<Sample> SamplesOf(
    std::span<const Fold> folds, const Measure& measure, uint64_t from, uint64_t to, size_t count);

struct PlotFrame {
  std::string name;  // of the key, for the title
  const Measure& measure;
  uint64_t from = 0, to = 0;  // seconds
};
inline constexpr size_t kPlotMargin = 15;  // columns of a text plot that hold no sample
// samples: width - kPlotMargin. `height`: rows of the level; the slope has a third as many more.
std::string PlotText(const PlotFrame& frame, std::span<const Sample> samples, size_t height);

inline constexpr size_t kSvgSamples = 661;
std::string PlotSvg(const PlotFrame& frame, std::span<const Sample> samples);

}  // namespace aqmesh::cli

#endif  // AQMESH_DAEMON_CLI_TRUST_PLOT_H_
