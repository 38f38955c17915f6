/* What the tests of reports share: a scratch folder and small run folders in it. */
#ifndef HONE_TESTS_REPORT_SUPPORT_H
#define HONE_TESTS_REPORT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int make_scratch(void **state);
int remove_scratch(void **state);
const char *in_scratch(const char *name); /* good until eight more calls */
void write_file(const char *name, const char *text);
char *read_file(const char *path); /* hone_free it */
/* A run of so many steps with a validation every tenth. Its texts are hostile to HTML. */
void write_run(const char *name, int steps);

#endif
