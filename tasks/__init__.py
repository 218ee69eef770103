"""The orchestrator, one module per stage, in the order in which data flows.

    intent   inventory/*.yaml -> Site            every error at once, with its file:line
    compile  Site -> {host: DeviceModel}         pure; proves the cluster's invariants, or refuses
    render   DeviceModel -> Rendered             templates; every line knows where it comes from
    diff     (running, Rendered) -> Changes      pure; own tree engine, platform knowledge in tables
    plan     Changes -> Plan                     pure; waves, impact, undo, digests; JSON in and out
    push     Plan -> Applied                     the only stages that talk to routers:
    verify   DeviceModel -> Verdict              push, verify, and the fetch that plan starts from;
                                                 a push is a `course` of batches, kept by `runs`,
                                                 that `resume` goes on with, gated by `guard`
    check    what was fetched -> Checked         every day: configuration, state, standards
    history  Applied, Checked -> Record          who, when, every line sent, every finding

Around them: `fleet` does a stage in many processes, `schedule` lets a timer check, `doctor` says
what is missing, `init` begins a repository.

Each arrow carries one frozen value. The law: after `hacc apply`, `hacc plan` is empty.
"""
