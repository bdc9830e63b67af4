"""How failures, open points and what is not met are said, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from auditor.evidence.facts import Finding
from auditor.evidence.wording import OUTCOMES, REASONS, REFUSALS, STATES, TOPICS, Both, Voice
from plan.words import CHECKS

FINDINGS: Final[Mapping[str, Both]] = {
    "check-failed": Both(
        "核验第 %(number)s 项（%(place)s）未通过", "check %(number)s of the verification (%(place)s) FAILED"
    ),
    "round-cancelled": Both(
        "第 %(place)s 轮由县级终止：%(detail)s", "round %(place)s was ended by the county: %(detail)s"
    ),
    "round-reissued": Both(
        "第 %(place)s 轮无报送，由第 %(number)s 轮代替：%(detail)s",
        "round %(place)s had no reports and was replaced by round %(number)s: %(detail)s",
    ),
    "round-abandoned": Both(
        "第 %(place)s 轮因审计方弃权而无法打开，没有任何数公布：%(detail)s",
        "round %(place)s was abandoned by its auditors and can never be opened; no number was published: "
        "%(detail)s",
    ),
    "round-corrupt": Both(
        "第 %(place)s 轮合计超出界限，没有任何数公布，额度仍计入",
        "the sum of round %(place)s was out of bounds; no number was published, and its cost stands",
    ),
    "release-corrected": Both(
        "第 %(place)s 轮的发布已更正：%(detail)s", "the release of round %(place)s was corrected: %(detail)s"
    ),
    "release-withdrawn": Both(
        "第 %(place)s 轮的发布已撤回：%(detail)s", "the release of round %(place)s was withdrawn: %(detail)s"
    ),
    "refused": Both(
        "第 %(place)s 轮有 %(number)s 份报送被审计方拒收：%(detail)s",
        "round %(place)s: %(number)s reports were refused by auditors: %(detail)s",
    ),
    "draw-withheld": Both(
        "第 %(place)s 轮 %(detail)s 已同意而未公开抽查承诺",
        "round %(place)s: %(detail)s agreed and never revealed its share of the draw",
    ),
    "away": Both(
        "第 %(place)s 轮 %(detail)s 自候选名单公布后没有任何动作",
        "round %(place)s: %(detail)s did nothing after the candidates were fixed",
    ),
    "replay-failed": Both(
        "第 %(number)s 轮 %(place)s 的现场重算未通过（%(detail)s）",
        "the replay of round %(number)s at %(place)s FAILED (%(detail)s)",
    ),
    "visit-failed": Both(
        "第 %(number)s 轮对 %(place)s 的现场核查：%(detail)s",
        "the on-site visit of round %(number)s to %(place)s: %(detail)s",
    ),
    "visit-unsigned": Both(
        "第 %(number)s 轮对 %(place)s 的现场核查记录没有 %(detail)s 的有效签名",
        "the record of the visit of round %(number)s to %(place)s has no good signature of %(detail)s",
    ),
    "revoked-node": Both(
        "学校 %(place)s 被除名：%(detail)s（日志第 %(number)s 条）",
        "school %(place)s was taken out: %(detail)s (log entry %(number)s)",
    ),
    "revoked-auditor": Both(
        "审计方 %(place)s 被除名：%(detail)s（日志第 %(number)s 条）",
        "auditor %(place)s was taken out: %(detail)s (log entry %(number)s)",
    ),
    "over-the-cap": Both(
        "学年 %(place)s 有学校的额度达到 ρ %(detail)s，超过上限",
        "in school year %(place)s a school's account stands at ρ %(detail)s, above the cap",
    ),
}
OPEN: Final[Mapping[str, Both]] = {
    "demo": Both("这是演示用的联盟，不是正式运行", "this is a demonstration, not a federation in service"),
    "no-policy": Both(
        "未提供策略文件：核验用的是材料自带的密钥，不能证明真伪",
        "no policy was given: keys out of the bundle itself prove nothing",
    ),
    "skipped-checks": Both(
        "核验有 %(number)s 项未做（见附一），不能视为全部通过",
        "%(number)s checks were skipped (annex 1); the verification is not complete",
    ),
    "public-bundle": Both(
        "所用材料是公开包，不含加掩码的报送，合计的重新计算须由持有审计方包的一方进行",
        "the bundle is a public one without masked vectors; who holds an auditor's bundle can repeat the "
        "sums",
    ),
    "no-kept-checkpoint": Both(
        "没有上一年度留存的检查点；日志条目本身不带时间，年初位置按首个本年度方案推定",
        "no checkpoint kept from last year; entries carry no time, so the year is taken to begin at its "
        "first plan",
    ),
    "no-round": Both("本年度没有任何轮次", "no round in this year"),
    "unfinished": Both(
        "第 %(place)s 轮尚未结束（%(detail)s）", "round %(place)s has not ended yet (%(detail)s)"
    ),
    "not-replayed": Both(
        "第 %(place)s 轮已发布，日志中没有现场重算记录",
        "round %(place)s is released, and no replay of it stands in the log",
    ),
    "no-visits": Both("没有随附的现场核查记录", "no record of an on-site visit is enclosed"),
    "few-outside": Both(
        "现任审计方中县级条线之外的有 %(number)s 家，建议不少于两家",
        "%(number)s of the auditors in force are outside the county's own line; two or more are advised",
    ),
    "custody-unknown": Both(
        "有 %(number)s 所学校的名册未载明部署方式",
        "the roster does not say where %(number)s schools keep their records",
    ),
    "custody-unstated": Both(
        "平台数据保管：%(place)s——未说明，由县级填写",
        "platform custody, not stated: %(place)s (for the county)",
    ),
    "retention-unstated": Both(
        "保存期限：%(place)s——未说明，由负责方填写", "retention, not stated: %(place)s (for whoever holds it)"
    ),
}
NOT_MET_WORDS: Final[Mapping[str, Both]] = {
    "sm-algorithms": Both(
        "尚未满足商用密码应用安全性评估（密评）要求：所用为国际通用算法（Ed25519、X25519 与 ML-KEM-768、"
        "AES、SHA-256 等），"
        "没有采用 SM2、SM3、SM4",
        "the assessment of commercial cryptography (密评) is not met: the algorithms are international ones "
        "(Ed25519, X25519 with ML-KEM-768, AES, SHA-256 and others); SM2, SM3 and SM4 are not used",
    ),
    "certified-module": Both("没有使用经检测认证的密码模块", "no certified cryptographic module is used"),
    "level-of-operator": Both(
        "网络安全等级保护由运营单位对其运行的系统定级、备案、测评；软件本身没有、也不能有等级",
        "protection levels (等级保护) belong to systems in operation: their operators grade, file and "
        "have them "
        "assessed; the software has no level and cannot have one",
    ),
    "penetration-test": Both("没有第三方渗透测试报告", "there is no penetration test by a third party"),
    "outside-review": Both(
        "没有独立机构对隐私证明和抽样程序的审查意见",
        "nobody outside has reviewed the privacy proofs and the sampler",
    ),
    "anonymity-claim": Both(
        "能否认定为匿名化由律师判断，本系统不自行声称",
        "whether the results count as anonymised is for a lawyer to say; the system does not claim it",
    ),
}
_DETAILS: Final = {**REASONS, **REFUSALS, **STATES, **OUTCOMES}


def told(finding: Finding, voice: Voice) -> str:
    """Say a finding."""
    table = FINDINGS if finding.code in FINDINGS else OPEN
    return voice.say(
        table[finding.code],
        place=_place(finding, voice),
        detail="、".join(voice.word(_DETAILS, item) for item in finding.detail.split(" ")),
        number=finding.number,
    )


def _place(finding: Finding, voice: Voice) -> str:
    if finding.code == "check-failed":
        return voice.speech.say(CHECKS.get(finding.place, finding.place))
    return voice.word(TOPICS, finding.place)
