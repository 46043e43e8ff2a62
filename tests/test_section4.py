"""What is broken in the released code, and the tests that fail on each of these bugs.

Where it can be done in a few lines the bug is re-created inside the test. A test that is here for one of them
says "Released bug N" in its docstring."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

BUGS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "HAE is computed from a count: its gradient is zero, dead heads never wake",
        (
            "losses/test_head_activation.py::test_value_and_gradient",
            "losses/test_head_activation.py::test_dead_heads_feel_it_however_dead_they_are",
            "losses/test_head_activation.py::test_a_dead_router_wakes_up",
            "losses/test_head_activation.py::test_with_the_released_form_it_sleeps_for_good",
        ),
    ),
    2: (
        "lambda is in no checkpoint, and every forward advances it, in eval and generate too",
        (
            "losses/test_routing_sparsity.py::test_evaluation_leaves_lambda_alone",
            "losses/test_routing_sparsity.py::test_lambda_is_saved_and_continued",
            "callbacks/test_sparsity_controller.py::test_one_update_per_optimizer_step",
            "callbacks/test_sparsity_controller.py::test_evaluation_leaves_lambda_alone",
            "callbacks/test_sparsity_controller.py::test_validation_during_training_leaves_lambda_alone",
            "callbacks/test_sparsity_controller.py::test_resume_continues_lambda",
            "modules/test_video_chat.py::test_asking_changes_no_state",
            "test_training.py::test_resume_inside_an_epoch_equals_an_undisturbed_run",
            "test_resume.py::test_killed_and_resumed_equals_undisturbed",
        ),
    ),
    3: (
        "the late vision blocks are in no optimizer, and checkpointing gives them no gradient",
        (
            "callbacks/test_stage_schedule.py::test_late_blocks_move_in_the_video_stage_only",
            "callbacks/test_stage_schedule.py::test_with_the_released_optimizer_they_never_move",
            "callbacks/test_stage_schedule.py::test_every_group_is_in_the_optimizer_from_the_start",
            "test_experiments.py::test_late_blocks_move_in_the_video_stage_alone",
            "modules/test_language_model.py::test_adapters_learn_from_inputs_that_need_no_gradient",
            "modules/test_video_chat.py::test_parameter_groups_are_everything_that_learns_each_once",
            "modules/test_vision.py::test_gradient_reaches_the_late_blocks_only",
            "modules/test_language_model.py::test_gradient_checkpointing_changes_no_gradient",
        ),
    ),
    4: (
        "the row of the name is given to the optimizer as a slice, a copy: it is never trained",
        (
            "modules/test_token_rows.py::test_rows_move_and_the_base_is_bit_identical",
            "modules/test_token_rows.py::test_the_released_slice_of_a_table_never_moves",
            "modules/test_token_rows.py::test_one_table_with_masked_gradients_drifts",
            "test_training.py::test_rows_move_and_the_base_is_bit_identical",
        ),
    ),
    5: (
        "pure bf16 with tiny steps: next to no weight ever moves",
        (
            "modules/test_lora.py::test_adapters_are_float32_on_a_bf16_base",
            "modules/test_lora.py::test_tiny_steps_move_the_master_and_would_not_move_bf16",
            "modules/test_token_rows.py::test_float32_in_and_out_of_a_bf16_base",
            "modules/test_video_chat.py::test_what_is_trained_is_float32",
            "test_training.py::test_weights_of_another_precision_are_refused",
            "losses/test_routing_sparsity.py::test_lambda_stays_fp32_when_the_model_is_cast",
            "test_training.py::test_masters_are_float32_and_small_steps_count",
        ),
    ),
    6: (
        "routers start as uninitialised memory",
        (
            "modules/test_attention.py::test_routers_start_drawn_from_the_seed_and_never_from_memory",
            "modules/test_qformer.py::test_start_is_drawn_from_the_seed",
            "modules/test_video_chat.py::test_start_depends_on_the_seed_alone",
            "test_training.py::test_the_same_seed_repeats_bit_for_bit",
        ),
    ),
    7: (
        "the name comes from the file: training says <Sh>, the test <Sh>test",
        (
            "datamodules/sources/test_pvchat_json.py::test_names",
            "modules/test_video_chat.py::test_a_name_is_the_registered_one",
            "test_subjects.py::test_person_mask_is_who_is_asked_about",
        ),
    ),
    8: (
        "LoRA on the head is dropped silently when the vocabulary grows",
        (
            "modules/test_lora.py::test_missing_targets_are_named",
            "modules/test_language_model.py::test_vocabulary_grows_once",
            "modules/test_video_chat.py::test_parameter_groups_are_everything_that_learns_each_once",
            "test_training.py::test_rows_move_and_the_base_is_bit_identical",
        ),
    ),
    9: (
        "no query mask, prompts list who is present, code for one, two and three names",
        (
            "modules/test_qformer.py::test_personal_queries_learn_from_questions_about_their_person_only",
            "modules/test_video_chat.py::test_any_number_of_persons_is_one_code_path",
            "modules/test_video_chat.py::test_prompt_does_not_depend_on_who_is_there",
            "modules/test_video_chat.py::test_asking_for_one_person_does_not_touch_the_personal_queries_of_another",
            "modules/test_video_chat_of_several_passes.py"
            "::test_personal_queries_learn_from_the_clips_of_their_person_alone",
            "test_prompts.py::test_all_registered_persons_are_listed",
            "test_prompts.py::test_the_prompt_does_not_tell_who_is_present",
            "test_training.py::test_several_persons_train_and_are_tested",
        ),
    ),
    10: (
        "the image stage takes frame 51 and drops shorter clips",
        (
            "callbacks/test_stage_schedule.py::test_stages_show_what_the_paper_says",
            "callbacks/test_stage_schedule.py::test_the_image_stage_shows_the_first_frame",
            "datamodules/test_personalized.py::test_the_image_stage_shows_the_first_frame",
            "datamodules/test_video.py::test_short_clip_repeats_frames",
        ),
    ),
    11: (
        "answers are sampled, without a seed",
        (
            "modules/test_video_chat.py::test_answers_do_not_depend_on_the_rest_of_the_batch",
            "modules/test_video_chat.py::test_answers_are_not_drawn",
            "modules/test_language_model.py::test_generation_equals_one_by_one_equals_transformers",
            "modules/test_language_model.py::test_generation_is_deterministic_and_leaves_the_mode",
        ),
    ),
    12: (
        "checkpoints hold the whole base, 17 GB",
        (
            "test_training.py::test_checkpoint_holds_the_trainable_parts_alone",
            "callbacks/test_run_folder.py::test_adapter_is_what_was_trained_and_small",
            "test_checkpoints.py::test_a_checkpoint_holds_what_is_trained_and_nothing_frozen",
            "test_checkpoints.py::test_another_base_is_refused",
        ),
    ),
    13: (
        "every question decodes its clip again",
        (
            "test_training.py::test_clips_are_decoded_once",
            "datamodules/test_clip_store.py::test_second_run_decodes_and_computes_nothing",
            "datamodules/test_cache.py::test_processes_compute_once",
        ),
    ),
    14: (
        "the baseline never sees the reference, and its history grows across clips",
        (
            "test_evaluation.py::test_each_control_shows_what_it_says",
            "test_training.py::test_untrained_is_the_start_and_is_undone",
            "test_chat.py::test_another_clip_starts_anew",
        ),
    ),
    15: (
        "no split by source, no leak check, no record of where a clip comes from",
        (
            "datamodules/test_manifest.py::test_required_keys",
            "datamodules/test_manifest.py::test_a_test_clip_may_not_be_trained_on",
            "datamodules/test_personalized.py::test_shared_recordings_are_said",
        ),
    ),
}


def functions(path: Path) -> dict[str, str]:
    """Tests of a file and their docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {node.name: ast.get_docstring(node) or "" for node in found if node.name.startswith("test_")}


@pytest.mark.parametrize("number", BUGS)
def test_each_has_tests_that_exist(number: int) -> None:
    _, tests = BUGS[number]
    assert len(set(tests)) == len(tests) > 1
    for test in tests:
        file, name = test.split("::")
        assert name in functions(TESTS / file), f"{test} is gone: what tests released bug {number} now?"


def test_tests_that_say_so_are_listed() -> None:
    strays = [
        (number, f"{path.relative_to(TESTS).as_posix()}::{name}")
        for path in sorted(TESTS.rglob("test_*.py"))
        for name, docstring in functions(path).items()
        for number in map(
            int, re.findall(r"\d+", " ".join(re.findall(r"Released bugs? ([\d and]+)", docstring)))
        )
        if f"{path.relative_to(TESTS).as_posix()}::{name}" not in BUGS[number][1]
    ]
    assert strays == []


def test_there_are_fifteen() -> None:
    assert list(BUGS) == list(range(1, 16))
