/* Every setting of hone, in one table a subject: see options.h for the columns. Keys are PEFT's and
 * Transformers' own where they have one. */
#ifndef HONE_SETTINGS_H
#define HONE_SETTINGS_H

#include <hone/options.h>

/* clang-format off */
#define HONE_MODEL_SETTINGS(X)                                                                     \
    X(STRING, model, "", 0, 0, NULL, "DIR", "Model folder as Transformers writes it")             \
    X(STRING, adapter, "", 0, 0, NULL, "DIR", "PEFT adapter folder to use or to continue from")   \
    X(STRING, compute, "f32", 0, 0, "f32|bf16|auto", "TYPE",                                      \
      "What the products multiply; auto takes bf16 where this processor is faster with it")        \
    X(STRING, init, "pretrained", 0, 0, "pretrained|random", "HOW",                               \
      "random: the family's own initialization, no weight file is read")                           \
    X(INTEGER, threads, "0", 0, 1024, NULL, "N", "Threads; 0: one for each core")                 \
    X(INTEGER, seed, "42", 0, 9007199254740991.0, NULL, "N",                                      \
      "Seed of initialization, dropout, shuffling and sampling")

#define HONE_ADAPTER_SETTINGS(X)                                                                   \
    X(STRING, method, "lora", 0, 0, "lora|ia3|full", "NAME", "What is trained")                   \
    X(INTEGER, r, "8", 1, 65536, NULL, "N", "Rank of LoRA's update")                              \
    X(REAL, lora_alpha, "8", 0, 1e9, NULL, "X", "LoRA's scale is lora_alpha / r")                 \
    X(REAL, lora_dropout, "0", 0, 0.999, NULL, "P", "Dropout on the input of LoRA's branch")      \
    X(LIST, target_modules, "", 0, 0, NULL, "NAMES",                                              \
      "Module names (endings), one regular expression for the full name, or all-linear")           \
    X(LIST, exclude_modules, "", 0, 0, NULL, "NAMES", "Modules never adapted (same forms)")       \
    X(LIST, feedforward_modules, "", 0, 0, NULL, "NAMES",                                         \
      "IA3: targets whose input is scaled, not their output")                                      \
    X(LIST, layers_to_transform, "", 0, 0, NULL, "NUMBERS", "Only these layers")                  \
    X(LIST, layers_pattern, "", 0, 0, NULL, "NAMES", "Name before the layer's number")            \
    X(MAP, rank_pattern, "", 0, 0, NULL, "NAME=N", "Other ranks by module pattern")               \
    X(MAP, alpha_pattern, "", 0, 0, NULL, "NAME=X", "Other alphas by module pattern")             \
    X(BOOL, use_rslora, "false", 0, 0, NULL, NULL, "Scale by lora_alpha / sqrt(r)")               \
    X(STRING, bias, "none", 0, 0, "none|all|lora_only", "WHICH", "Biases that are trained too")   \
    X(LIST, modules_to_save, "", 0, 0, NULL, "NAMES", "Modules trained in full and saved")        \
    X(STRING, init_lora_weights, "true", 0, 0, "true|gaussian|false", "HOW",                      \
      "true: Kaiming-uniform A, zero B; gaussian: normal A; false: uniform A and B (for tests)")    \
    X(BOOL, allow_partial, "false", 0, 0, NULL, NULL,                                             \
      "Accept an adapter folder that lacks tensors of this model")

#define HONE_DATA_SETTINGS(X)                                                                      \
    X(STRING, preset, "none", 0, 0, "none|cnn_dailymail|imdb|wikitext", "NAME",                   \
      "Keys of a known data set's rows (article and highlights; text)")                            \
    X(STRING, text_field, "text", 0, 0, NULL, "KEY", "Key of plain text rows")                    \
    X(STRING, prompt_field, "prompt", 0, 0, NULL, "KEY", "Key of the prompt in pair rows")        \
    X(STRING, completion_field, "completion", 0, 0, NULL, "KEY", "Key of the completion")         \
    X(STRING, source_field, "source", 0, 0, NULL, "KEY",                                          \
      "Key of the source, where pair rows have it in place of a prompt")                           \
    X(STRING, target_field, "target", 0, 0, NULL, "KEY",                                          \
      "Key of the target, where pair rows have it in place of a completion")                       \
    X(STRING, prompt_template, "", 0, 0, NULL, "TEXT",                                            \
      "Text around prompt or source, with {prompt} (or any {key} of the row) in it; \\n is a "     \
      "newline")                                                                                   \
    X(INTEGER, max_length, "0", 0, 1048576, NULL, "N",                                            \
      "Longest document in tokens; 0: all positions that the model has")                           \
    X(INTEGER, max_source_length, "0", 0, 1048576, NULL, "N",                                     \
      "Longest source (or prompt) in tokens; 0: max_length, or 512 without a limit")              \
    X(INTEGER, max_target_length, "0", 0, 1048576, NULL, "N",                                     \
      "Longest target (or completion) in tokens; 0: likewise")                                     \
    X(STRING, long_documents, "truncate", 0, 0, "truncate|split|refuse", "HOW",                   \
      "What is done with what is longer; source and target are cut, not split")                   \
    X(STRING, on_bad_line, "error", 0, 0, "error|skip", "HOW", "What is done with a broken line") \
    X(BOOL, allow_empty, "false", 0, 0, NULL, NULL, "Accept rows with nothing to train on")       \
    X(BOOL, append_eos, "true", 0, 0, NULL, NULL, "End each document with the end-of-text token") \
    X(STRING, objective, "supervised", 0, 0, "supervised|span_corruption", "NAME",                \
      "span_corruption: an encoder-decoder model restores spans taken out of texts, as T5 did")    \
    X(REAL, noise_density, "0.15", 0, 0.9, NULL, "P", "Share of a text that is taken out")        \
    X(REAL, mean_noise_span_length, "3", 1, 1000, NULL, "X", "Tokens in a span, on average")      \
    X(BOOL, shuffle, "true", 0, 0, NULL, NULL, "Shuffle the rows anew each epoch")

#define HONE_TRAIN_SETTINGS(X)                                                                     \
    X(STRING, train, "", 0, 0, NULL, "FILE", "Training data: .jsonl, .csv or .txt, plain or .zst") \
    X(STRING, valid, "", 0, 0, NULL, "FILE", "Validation data")                                   \
    X(REAL, split, "0", 0, 0.999999, NULL, "X",                                                   \
      "Without valid: the share of train to train on, drawn by seed; 0: no validation")            \
    X(STRING, out, "", 0, 0, NULL, "RUN", "Run folder to write")                                  \
    X(REAL, epochs, "3", 0, 1e6, NULL, "X", "Passes over the data")                               \
    X(INTEGER, max_steps, "0", 0, 1e15, NULL, "N", "Stop after N steps; 0: epochs decide")        \
    X(INTEGER, batch_size, "4", 1, 1e6, NULL, "N", "Documents in one micro-batch")                \
    X(INTEGER, gradient_accumulation_steps, "1", 1, 1e6, NULL, "N", "Micro-batches in one step")  \
    X(REAL, learning_rate, "2e-4", 0, 1e3, NULL, "X", "Peak learning rate")                       \
    X(REAL, min_learning_rate, "0", 0, 1e3, NULL, "X", "Rate at the end of linear and cosine")    \
    X(STRING, lr_scheduler_type, "cosine", 0, 0, "constant|linear|cosine|cyclical", "NAME",       \
      "Shape of the rate after warmup")                                                            \
    X(INTEGER, lr_cycle_steps, "1000", 2, 1e15, NULL, "N",                                        \
      "Length of a cycle of the cyclical schedule (triangular, min to peak to min)")               \
    X(REAL, warmup_ratio, "0.03", 0, 1, NULL, "X", "Share of all steps that warm up")             \
    X(INTEGER, warmup_steps, "0", 0, 1e15, NULL, "N", "Steps that warm up; over the ratio if > 0")\
    X(REAL, weight_decay, "0.01", 0, 1e3, NULL, "X", "Decay of matrices (not biases or norms)")   \
    X(REAL, adam_beta1, "0.9", 0, 0.999999, NULL, "X", "AdamW's first beta")                      \
    X(REAL, adam_beta2, "0.999", 0, 0.9999999, NULL, "X", "AdamW's second beta")                  \
    X(REAL, adam_epsilon, "1e-8", 0, 1, NULL, "X", "AdamW's epsilon")                             \
    X(REAL, max_grad_norm, "1", 0, 1e12, NULL, "X", "Clip the gradient's norm; 0: do not")        \
    X(REAL, model_dropout, "-1", -1, 0.999, NULL, "P",                                            \
      "Dropout of the base model while training; -1: as its config.json says")                     \
    X(BOOL, gradient_checkpointing, "false", 0, 0, NULL, NULL,                                    \
      "Keep only what enters each layer and compute the rest again: less memory, slower")          \
    X(INTEGER, eval_steps, "0", 0, 1e15, NULL, "N", "Validate every N steps; 0: each epoch")      \
    X(INTEGER, eval_generate, "0", 0, 1e9, NULL, "N",                                             \
      "Predict so many validation rows at each validation, and score them; 0: none")               \
    X(STRING, metric_for_best_model, "loss", 0, 0, NULL, "NAME",                                  \
      "By what the best weights are chosen: loss, or one of --metrics (higher is better)")         \
    X(INTEGER, eval_batch_size, "0", 0, 1e6, NULL, "N", "Documents at once; 0: as batch_size")    \
    X(INTEGER, save_steps, "0", 0, 1e15, NULL, "N", "Checkpoint every N steps; 0: each epoch")    \
    X(INTEGER, save_total_limit, "2", 1, 1e6, NULL, "N", "Checkpoints kept")                      \
    X(INTEGER, logging_steps, "10", 1, 1e15, NULL, "N", "Print a plain line every N steps")       \
    X(INTEGER, early_stopping_patience, "0", 0, 1e6, NULL, "N",                                   \
      "Stop after N validations without improvement; 0: never")                                    \
    X(REAL, early_stopping_threshold, "0", 0, 1e6, NULL, "X", "Improvement that counts")          \
    X(INTEGER, sample_steps, "0", 0, 1e15, NULL, "N", "Write a sample text every N steps")        \
    X(STRING, sample_prompt, "", 0, 0, NULL, "TEXT", "What the samples begin with")

#define HONE_GENERATE_SETTINGS(X)                                                                  \
    X(INTEGER, max_new_tokens, "128", 1, 1048576, NULL, "N", "Tokens made at most")               \
    X(INTEGER, min_new_tokens, "0", 0, 1048576, NULL, "N", "Tokens made before the text may end") \
    X(REAL, temperature, "0", 0, 100, NULL, "X", "0: greedy; 1: the model's own probabilities")   \
    X(INTEGER, top_k, "0", 0, 1e9, NULL, "N", "Sample from the N most likely; 0: all")            \
    X(REAL, top_p, "1", 0, 1, NULL, "P", "Sample from the smallest set with this probability")    \
    X(REAL, min_p, "0", 0, 1, NULL, "P", "Leave out what is less likely than P times the best")   \
    X(REAL, repetition_penalty, "1", 0.01, 100, NULL, "X", "Over 1: avoid tokens seen before")    \
    X(INTEGER, no_repeat_ngram_size, "0", 0, 1048576, NULL, "N",                                  \
      "No run of N tokens, those of the prompt among them, comes twice; 0: any may")               \
    X(INTEGER, num_beams, "1", 1, 1024, NULL, "N",                                                \
      "Beam search with N beams (temperature 0); 1: none")                                         \
    X(REAL, length_penalty, "1", -100, 100, NULL, "X",                                            \
      "Beams: a text's score is divided by its new tokens to this power; over 0 favours long ones")\
    X(STRING, early_stopping, "false", 0, 0, "false|true|never", "WHEN",                          \
      "Beams: true: end with num_beams texts; false: when a better one is unlikely; never: when "  \
      "none can be better")                                                                        \
    X(LIST, stop, "", 0, 0, NULL, "TEXT", "End where this text appears")                          \
    X(INTEGER, num_return_sequences, "1", 1, 100000, NULL, "N", "Texts for each prompt")          \
    X(INTEGER, decode_batch_size, "8", 1, 4096, NULL, "N", "Sequences (beams) decoded together")

#define HONE_SCORE_SETTINGS(X)                                                                     \
    X(LIST, metrics, "rouge,bleu", 0, 0, NULL, "NAMES",                                           \
      "rouge (rouge1, rouge2, rougeL, rougeLsum), bleu, sentence_bleu, nltk_bleu, chrf, chrf++, "  \
      "exact_match, token_f1, accuracy, macro_f1")                                                \
    X(BOOL, stemmer, "false", 0, 0, NULL, NULL, "ROUGE: compare Porter's stems of words")         \
    X(STRING, bleu_tokenize, "13a", 0, 0, "13a|intl|char|none", "NAME",                           \
      "BLEU: tokenizer, by sacrebleu's name")                                                     \
    X(STRING, bleu_smooth, "exp", 0, 0, "exp|floor|add-k|none", "NAME",                           \
      "BLEU: smoothing, by sacrebleu's name")                                                     \
    X(REAL, bleu_smooth_value, "-1", -1, 1e6, NULL, "X",                                          \
      "BLEU: value of floor and add-k; -1: 0.1 and 1")                                            \
    X(BOOL, lowercase, "false", 0, 0, NULL, NULL, "BLEU, chrF, accuracy: case does not count")    \
    X(INTEGER, bootstrap_samples, "1000", 0, 1e6, NULL, "N", "Resamples for intervals; 0: none")  \
    X(INTEGER, bootstrap_seed, "12345", 0, 9007199254740991.0, NULL, "N", "Seed of the resamples") \
    X(REAL, confidence, "0.95", 0.5, 0.9999, NULL, "P", "Confidence of the intervals")
/* clang-format on */

typedef struct hone_model_settings {
    HONE_MODEL_SETTINGS(HONE_OPTION_FIELD)
} hone_model_settings;
typedef struct hone_adapter_settings {
    HONE_ADAPTER_SETTINGS(HONE_OPTION_FIELD)
} hone_adapter_settings;
typedef struct hone_data_settings {
    HONE_DATA_SETTINGS(HONE_OPTION_FIELD)
} hone_data_settings;
typedef struct hone_train_settings {
    HONE_TRAIN_SETTINGS(HONE_OPTION_FIELD)
} hone_train_settings;
typedef struct hone_generate_settings {
    HONE_GENERATE_SETTINGS(HONE_OPTION_FIELD)
} hone_generate_settings;
typedef struct hone_score_settings {
    HONE_SCORE_SETTINGS(HONE_OPTION_FIELD)
} hone_score_settings;

/* The table of each struct, bound to an object. Call hone_options_init on it before use. */
hone_option_set hone_model_option_set(hone_model_settings *object);
hone_option_set hone_adapter_option_set(hone_adapter_settings *object);
hone_option_set hone_data_option_set(hone_data_settings *object);
hone_option_set hone_train_option_set(hone_train_settings *object);
hone_option_set hone_generate_option_set(hone_generate_settings *object);
hone_option_set hone_score_option_set(hone_score_settings *object);

#endif
