/* A method of adapting: one file with one table of these. */
#ifndef HONE_ADAPTER_METHOD_H
#define HONE_ADAPTER_METHOD_H

#include "adapter/adapter.h"
#include "adapter/peft_config.h"

/* What is decided for one module before a method rewrites the program around it. */
typedef struct hone_attachment {
    int64_t rank;
    float scale; /* of LoRA's update */
    float dropout;
    bool feedforward; /* IA3 */
    bool trainable;
} hone_attachment;

typedef struct hone_tuning_method {
    const char *name, *peft_type;
    /* Adds weights and an operation for the LINEAR at `place`, and fills weights, scale and
     * feedforward of *adapted, whose other fields are set. Failures stick in the program. */
    void (*attach)(hone_program *program, size_t place, const hone_attachment *attachment,
                   hone_adapted *adapted);
    /* Initial values of one module, number `index`, into its weights' memory. */
    void (*init)(const hone_program *program, const hone_adapted *adapted, hone_lora_init how,
                 uint64_t seed, size_t index);
    /* Applies the module's update to copies of its base: see hone_adapter_merge. */
    void (*merge)(const hone_program *program, const hone_adapted *adapted, float *weight,
                  float *bias);
} hone_tuning_method;

extern const hone_tuning_method hone_lora_method, hone_ia3_method;

/* Values of an adapter's weight: the master while it is trained. */
static inline float *hone_adapter_values(const hone_program *program, int weight)
{
    const hone_weight *w = &program->weights[weight];
    return w->master != NULL ? w->master : w->data;
}

/* Sites of initial draws: apart from those of operations, which count from 1. */
static inline uint32_t hone_adapter_site(size_t module, int which)
{
    return 0xAD000000u + (uint32_t)module * 2u + (uint32_t)which;
}

#endif
