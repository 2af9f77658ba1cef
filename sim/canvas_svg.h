/// An SVG as cairo writes it, made smaller and the same each time.
#pragma once

#include <stdio.h>

#include "policy/base.h"

/// Write the SVG `text` with few decimals, without what holds anyway, and without the numbers that cairo
/// gives to surfaces in the order in which a process makes them. Whether it could be written, ferror says.
/// Allocates: no. Blocks: on the file. Thread: any.
void dpc_svg_shorten(const char* text, FILE* file);
