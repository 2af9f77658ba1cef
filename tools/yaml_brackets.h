/// Our one addition to YAML: in a list on one line, an element may hold brackets without quotes,
/// as in `obs: [keypoint, state[0:2] as agent_pos]`.
#pragma once

/// A copy of `text` in which such elements are in quotes; every line stays where it is. NULL when
/// there is no memory. The caller frees it with `free`.
/// Allocates: heap. Blocks: no. Thread: any.
char* dpc_yaml_quote_brackets(const char* text);
