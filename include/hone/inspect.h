/* What a path holds, told from its headers: no weights are loaded. */
#ifndef HONE_INSPECT_H
#define HONE_INSPECT_H

#include <hone/status.h>
#include <stdbool.h>

/* Describes a model folder, an adapter folder, a run folder, or a .safetensors or .bin file: its
 * kind, settings, tensors with types and shapes, sizes. *text is one JSON object on a line, or
 * lines for people; free it with hone_inspect_free. HONE_INPUT when the path is none of these. */
hone_status hone_inspect(const char *path, bool json, char **text, hone_error *error);
void hone_inspect_free(char *text); /* takes NULL */

#endif
