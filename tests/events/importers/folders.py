"""Handmade source folders, small enough to be understood at a glance."""

import gzip
from pathlib import Path

LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)
HISTORY_HEADER = "user_id,pos_in_history,video_id,long_view,is_like,history_len,last_time_ms"
START_MS = 1_650_812_741_436


def log_row(
    user: str = "712",
    video: str = "5239",
    time_ms: int | str = START_MS,
    *,
    play_ms: int | str = 5_000,
    duration_ms: int = 10_000,
    flags: str = "",
    long_view: int = 0,
    tab: int = 1,
) -> str:
    """One line of the log; `flags` names the deliberate signals, such as "like hate"."""
    like, follow, comment, forward, hate = (
        int(flag in flags.split()) for flag in ("like", "follow", "comment", "forward", "hate")
    )
    return (
        f"{user},{video},20220425,0,{time_ms},1,{like},{follow},{comment},{forward},{hate},{long_view},"
        f"{play_ms},{duration_ms},0,0,0,0,{tab}"
    )


def kuairand_folder(folder: Path, log: list[str], history: list[str] | None = None) -> Path:
    """A KuaiRand folder with two videos, two users and the given rows."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = [
        VIDEO_HEADER,
        '5239,77,NORMAL,2022-04-10,Web,0.0,10000.0,720.0,1280.0,915,9.0,"39,12"',
        "1,88,AD,2022-04-09,Web,0.0,,720.0,1280.0,0,,",
    ]
    users = ["user_id,user_active_degree,is_live_streamer,fans_user_num", "712,full_active,-124,150", "9,,1,2.5"]
    (folder / "video_features_basic_tiny.csv").write_text("\n".join(videos) + "\n")
    (folder / "user_features_tiny.csv").write_text("\n".join(users) + "\n")
    (folder / "log_standard_tiny.csv").write_text("\n".join([LOG_HEADER, *log]) + "\n")
    if history is not None:
        with gzip.open(folder / "history_before_4_25.csv.gz", "wt") as file:
            file.write("\n".join([HISTORY_HEADER, *history]) + "\n")
    return folder
