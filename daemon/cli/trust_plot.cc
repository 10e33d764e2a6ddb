#include "daemon/cli/trust_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "core/base/status.h"
#include "daemon/cli/text.h"

namespace aqmesh::cli {

namespace {

using authority::Rung;
using trust::kOne;

constexpr Rung kMarked[] = {Rung::kAdmit, Rung::kConstrain, Rung::kProbation};

// The least of these that holds every slope that is drawn.
int32_t SlopeScale(std::span<const Sample> samples) {
  int32_t most = 0;
  for (const Sample& s : samples) {
    if (s.known) most = std::max({most, std::abs(s.slope_low), std::abs(s.slope_high)});
  }
  for (const int32_t scale : {3'277, 6'554, 16'384, 32'768}) {  // .05 .10 .25 .50
    if (most <= scale) return scale;
  }
  return static_cast<int32_t>(kOne);
}

std::string Hundredths(uint32_t q16) {
  const uint32_t n = (q16 * 100 + 32'768) / 65'536;
  return n < 100 ? fmt::format(".{:02}", n) : "1.00";
}
std::string SlopeEnd(int32_t scale) { return Hundredths(static_cast<uint32_t>(scale)); }

// What is drawn of a sample: its lowest, its highest, its last; `above` rises to the top.
struct Stroke {
  int64_t low = 0, high = 0, end = 0;
};
using StrokeOf = std::function<Stroke(const Sample&)>;
Stroke LevelStroke(const Sample& s) { return {s.level_low, s.level_high, s.end.ladm}; }
Stroke SlopeStroke(const Sample& s) { return {s.slope_low, s.slope_high, s.end.slope}; }

// ---- text

// A canvas of text with its scale: the value `top` in its first row, `bottom` in its last.
class Panel {
 public:
  Panel(size_t rows, size_t columns, int64_t top, int64_t bottom)
      : rows_(rows, std::string(columns, ' ')), labels_(rows), top_(top), bottom_(bottom) {}

  size_t RowOf(int64_t value) const {
    const auto last = static_cast<int64_t>(rows_.size()) - 1;
    const int64_t span = top_ - bottom_;
    const int64_t row = ((top_ - value) * last * 2 + span) / (2 * span);
    return static_cast<size_t>(std::clamp<int64_t>(row, 0, last));
  }
  // The first label of a row stays.
  void Label(int64_t value, const std::string& text) {
    std::string& label = labels_[RowOf(value)];
    if (label.empty()) label = text;
  }
  void Line(int64_t value, std::string_view pattern) {
    std::string& row = rows_[RowOf(value)];
    for (size_t i = 0; i < row.size(); ++i) row[i] = pattern[i % pattern.size()];
  }
  // '*' where it is at the end of a column, '|' where else it was, or passed.
  void Draw(std::span<const Sample> samples, const StrokeOf& stroke_of) {
    std::optional<size_t> before;
    for (size_t c = 0; c < samples.size(); ++c) {
      if (!samples[c].known) continue;
      const Stroke stroke = stroke_of(samples[c]);
      const size_t end = RowOf(stroke.end);
      size_t first = std::min(RowOf(stroke.high), end), last = std::max(RowOf(stroke.low), end);
      if (before && *before + 1 < first) first = *before + 1;
      if (before && *before > last + 1) last = *before - 1;
      for (size_t r = first; r <= last; ++r) rows_[r][c] = '|';
      rows_[end][c] = '*';
      before = end;
    }
  }
  std::string Print() const {
    std::string out;
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::string line =
          fmt::format("{:>13} {}{}", labels_[r], labels_[r].empty() ? '|' : '+', rows_[r]);
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::string> rows_, labels_;
  int64_t top_, bottom_;
};

std::string AxisText(const PlotFrame& frame, size_t columns) {
  const std::string first = UtcText(frame.from), last = UtcText(frame.to);
  const std::string middle = UtcText(frame.from + (frame.to - frame.from) / 2);
  std::string axis(columns, '-'), words(columns, ' ');
  const auto put = [&words](size_t at, const std::string& text) {
    words.replace(at, text.size(), text);
  };
  axis.front() = axis.back() = '+';
  put(0, first);
  put(columns - last.size(), last);
  const size_t centre = columns / 2, left = centre - middle.size() / 2;
  if (left > first.size() + 1 && left + middle.size() + 1 < columns - last.size()) {
    axis[centre] = '+';
    put(left, middle);
  }
  return Join(
      std::string(kPlotMargin, ' '), axis, "\n", std::string(kPlotMargin, ' '), words, "\n");
}

// ---- SVG, in tenths of a unit so that no fraction is left to chance

constexpr int64_t kLeft = 1'200, kRight = 7'800;
constexpr int64_t kLevelTop = 400, kLevelBottom = 3'200, kSlopeTop = 3'500, kSlopeBottom = 4'300;
constexpr std::string_view kInk = "#1f4e79", kFaint = "#999999", kWarn = "#b00020";

std::string Tenths(int64_t n) { return fmt::format("{}.{}", n / 10, n % 10); }

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string Words(int64_t x, int64_t y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
                     Tenths(x),
                     Tenths(y),
                     anchor,
                     Escaped(text));
}

std::string Rule(int64_t y, std::string_view colour, bool dashed) {
  return fmt::format("<path d=\"M{} {}H{}\" fill=\"none\" stroke=\"{}\"{}/>\n",
                     Tenths(kLeft),
                     Tenths(y),
                     Tenths(kRight),
                     colour,
                     dashed ? " stroke-dasharray=\"4 4\"" : "");
}

struct Area {
  int64_t top, bottom;              // where
  int64_t top_value, bottom_value;  // what
  int64_t At(int64_t value) const {
    return top + (top_value - value) * (bottom - top) / (top_value - bottom_value);
  }
};

int64_t ColumnAt(size_t i, size_t count) {
  return kLeft + static_cast<int64_t>(i) * (kRight - kLeft) / static_cast<int64_t>(count - 1);
}

std::string Curve(std::span<const Sample> samples, const Area& area, const StrokeOf& stroke_of) {
  std::string path;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!samples[i].known) continue;
    const Stroke s = stroke_of(samples[i]);
    const std::string x = Tenths(ColumnAt(i, samples.size()));
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", x, Tenths(area.At(s.high)));
    if (s.low != s.high) path += fmt::format("V{}", Tenths(area.At(s.low)));
    if (s.end != s.low) path += fmt::format("V{}", Tenths(area.At(s.end)));
  }
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n", path, kInk);
}

std::string TitleOf(const PlotFrame& frame, std::span<const Sample> samples) {
  const trust::Reading& end = samples.back().end;
  return Join(frame.name,
              ": level ",
              LevelText(end.ladm),
              ", slope ",
              SlopeText(end.slope),
              ", ",
              StateWord(end),
              ", at ",
              UtcText(frame.to));
}

}  // namespace

std::vector<Sample> SamplesOf(
    std::span<const Fold> folds, const Measure& measure, uint64_t from, uint64_t to, size_t count) {
  std::vector<Sample> out;
  std::optional<trust::Standing> standing;
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    Sample s;
    s.at = from + (to - from) * i / (count - 1);
    const uint64_t epoch = EpochAt(s.at);
    std::vector<trust::Reading> passed;
    for (; next < folds.size() && folds[next].epoch <= epoch; ++next) {
      const Fold& f = folds[next];
      // What came before the first column is not in it.
      const bool inside = i > 0 || f.epoch == epoch;
      if (inside && i > 0 && standing && f.epoch > standing->last)
        passed.push_back(measure.Read(*standing, f.epoch - 1));
      standing = f.after();
      if (inside) passed.push_back(measure.Read(*standing, f.epoch));
      s.against = s.against || (inside && f.against());
    }
    if (standing) {
      s.known = true;
      s.end = measure.Read(*standing, epoch);
      s.level_low = s.level_high = s.end.ladm;
      s.slope_low = s.slope_high = s.end.slope;
      for (const trust::Reading& r : passed) {
        s.level_low = std::min(s.level_low, r.ladm);
        s.level_high = std::max(s.level_high, r.ladm);
        s.slope_low = std::min(s.slope_low, r.slope);
        s.slope_high = std::max(s.slope_high, r.slope);
      }
    }
    out.push_back(s);
  }
  return out;
}

std::string PlotText(const PlotFrame& frame, std::span<const Sample> samples, size_t height) {
  const size_t columns = samples.size();
  Panel level(height, columns, kOne, 0);
  for (const Rung rung : kMarked) {
    const uint32_t at = frame.measure.LevelOf(rung);
    level.Label(at, Join(authority::RungName(rung), " ", Hundredths(at)));
    level.Line(at, "- ");
  }
  level.Label(kOne, "1.00");
  level.Label(0, ".00");
  level.Draw(samples, LevelStroke);

  const int32_t scale = SlopeScale(samples);
  Panel slope(height / 3 | 1, columns, scale, -scale);
  slope.Label(scale, Join("+", SlopeEnd(scale)));
  slope.Label(0, "slope .00");
  slope.Label(-scale, Join("-", SlopeEnd(scale)));
  slope.Line(0, "- ");
  slope.Draw(samples, SlopeStroke);

  std::string against;
  for (const Sample& s : samples) against += s.against ? 'x' : ' ';
  against.erase(against.find_last_not_of(' ') + 1);
  return Join(TitleOf(frame, samples),
              "\n\n",
              level.Print(),
              "\n",
              slope.Print(),
              against.empty() ? "" : Join("      against |", against, "\n"),
              AxisText(frame, columns));
}

std::string PlotSvg(const PlotFrame& frame, std::span<const Sample> samples) {
  const int32_t scale = SlopeScale(samples);
  const Area level{kLevelTop, kLevelBottom, kOne, 0}, slope{kSlopeTop, kSlopeBottom, scale, -scale};
  const std::string title = TitleOf(frame, samples);
  const uint64_t middle = frame.from + (frame.to - frame.from) / 2;
  std::string out = Join(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"480\" viewBox=\"0 0 800 "
      "480\" role=\"img\" aria-labelledby=\"title desc\" font-family=\"sans-serif\" "
      "font-size=\"12\" fill=\"#222222\">\n<title id=\"title\">",
      Escaped(title),
      "</title>\n<desc id=\"desc\">Trust in one key over time: its level from 0 to 1 above, its "
      "slope below.</desc>\n<rect width=\"800\" height=\"480\" fill=\"#ffffff\"/>\n",
      Words(kLeft, 250, "start", title));
  for (const Rung rung : kMarked) {
    const uint32_t at = frame.measure.LevelOf(rung);
    out += Rule(level.At(at), kFaint, true);
    out += Words(
        kLeft - 80, level.At(at) + 40, "end", Join(authority::RungName(rung), " ", Hundredths(at)));
  }
  out += Words(kLeft - 80, kLevelTop + 40, "end", "1.00");
  out += Words(kLeft - 80, kLevelBottom + 40, "end", "level .00");
  out += Rule(kLevelTop, kFaint, false) + Rule(kLevelBottom, kFaint, false);
  out += Rule(kSlopeTop, kFaint, false) + Rule(slope.At(0), kFaint, true) +
         Rule(kSlopeBottom, kFaint, false);
  out += Words(kLeft - 80, kSlopeTop + 40, "end", Join("+", SlopeEnd(scale)));
  out += Words(kLeft - 80, slope.At(0) + 40, "end", "slope .00");
  out += Words(kLeft - 80, kSlopeBottom + 40, "end", Join("-", SlopeEnd(scale)));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!samples[i].against) continue;
    out += fmt::format("<path d=\"M{} {}V{}\" stroke=\"{}\"/>\n",
                       Tenths(ColumnAt(i, samples.size())),
                       Tenths(kLevelBottom),
                       Tenths(kLevelBottom + 100),
                       kWarn);
  }
  out += Curve(samples, level, LevelStroke) + Curve(samples, slope, SlopeStroke);
  out += Words(kLeft, kSlopeBottom + 250, "start", UtcText(frame.from));
  out += Words((kLeft + kRight) / 2, kSlopeBottom + 250, "middle", UtcText(middle));
  out += Words(kRight, kSlopeBottom + 250, "end", UtcText(frame.to));
  return out + "</svg>\n";
}

}  // namespace aqmesh::cli
