#!/usr/bin/env bash
# One training on a SLURM cluster, which goes on by itself after preemption or when its time is up:
#   sbatch sweeps/slurm.sh -c experiments/pvchat.yaml --data.source.path corpus/manifest.jsonl
# Before, where there is internet: pvchat assets prefetch. What follows sbatch's own options goes to pvchat fit.
#SBATCH --job-name=pvchat
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@180
#SBATCH --open-mode=append
set -u
run="${PVCHAT_RUNS:-runs}/slurm/$SLURM_JOB_ID" # the same before and after

if [ -e "$run/checkpoints/last.ckpt" ]; then
    srun pvchat fit --resume "$run" &
else
    srun pvchat fit "$@" --run_dir "$run" &
fi
fit=$!
trap 'kill -TERM "$fit"' TERM # three minutes before the end: fit finishes its step and saves it
wait "$fit"
status=$?
if [ "$status" -ge 128 ]; then # the wait was interrupted, not the training
    wait "$fit"
    status=$?
fi
if [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
