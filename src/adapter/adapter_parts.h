/* The inside of an adapter, shared by adapter.c (which modules, rewriting) and peft_folder.c. */
#ifndef HONE_ADAPTER_ADAPTER_PARTS_H
#define HONE_ADAPTER_ADAPTER_PARTS_H

#include "adapter/method.h"

struct hone_adapter {
    hone_peft_config config;
    const hone_tuning_method *method;
    hone_adapted *modules; /* in the program's order */
    size_t count, capacity;
    int *saved; /* base weights trained and stored beside: bias, modules_to_save */
    size_t saved_count, saved_capacity;
    int64_t copied;                  /* elements of modules_to_save */
    hone_names targets, feedforward; /* what is written for the two keys; in config's arena */
    bool fan_in_fan_out;
    char *folder; /* where an opened adapter's values are, or NULL */
    bool allow_partial;
};

#endif
