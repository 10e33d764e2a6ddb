// Encode: a row as COPY text, CSV, JSON. No value can end its own field: what separates or escapes
// is escaped, whatever a name was.
// Spec:   PostgreSQL's COPY text format; RFC 4180; RFC 8259. Thread: pure. Errors: none.
#ifndef AQMESH_LINEAGE_SHIP_ENCODE_H_
#define AQMESH_LINEAGE_SHIP_ENCODE_H_

#include <string>
#include <string_view>

#include "lineage/ship/schema.h"

namespace aqmesh::lineage::ship {

// Valid UTF-8 without NUL, which PostgreSQL's text does not hold: what is not becomes U+FFFD.
std::string CleanText(std::string text);

// One line: tabs between fields, \N for NULL, a newline at the end.
void AppendCopyLine(std::string& out, const Row& row, const Words& words);
// One line, ending in CR LF. NULL is nothing, the empty text "".
void AppendCsvLine(std::string& out, const Row& row, const Words& words);
std::string CsvHeader();
// One object on one line, every column in it, with a newline: JSONEachRow.
void AppendJsonLine(std::string& out, const Row& row, const Words& words);

}  // namespace aqmesh::lineage::ship

#endif  // AQMESH_LINEAGE_SHIP_ENCODE_H_
